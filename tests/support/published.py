"""Small archives of the formats in which the field's datasets are published."""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from struct import pack

import numpy as np
from PIL import Image


def checksum(content: bytes, kind: str = "sha256") -> str:
    return hashlib.new(kind, content).hexdigest()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def labels(count: int, classes: int) -> np.ndarray:
    return (np.arange(count) * 7 % classes).astype(np.uint8)


class Python2(pickle._Pickler):
    """Pickles as Python 2 did: bytes and text are both its strings."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        content = value.encode() if isinstance(value, str) else value
        self.write(b"T" + pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string

    def save_global(self, value: object, name: str | None = None) -> None:
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{name or value.__qualname__}\n".encode())
        self.memoize(value)

    dispatch[type(len)] = dispatch[type(lambda: 0)] = dispatch[type] = save_global


def pickled(batch: dict[str, object]) -> bytes:
    out = io.BytesIO()
    Python2(out, protocol=2).dump(batch)
    return out.getvalue()


def cifar(classes: int, each: int = 40) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of the binary version and of the python version, of the same images."""
    ten = classes == 10
    train = [f"data_batch_{n}" for n in range(1, 6)] if ten else ["train"]
    names = [*train, "test_batch" if ten else "test"]
    binary, python = {}, {}
    for seed, name in enumerate(names):
        count = each if ten or name == "test" else 5 * each
        image, label = pixels(seed, count, 3072), labels(count, classes)
        if ten:
            columns, batch = [label], {"labels": label.tolist()}
        else:
            columns = [label // 5, label]
            batch = {"fine_labels": label.tolist(), "coarse_labels": (label // 5).tolist()}
        about = {"batch_label": f"batch {seed}", "filenames": [f"{name}_{i}.png" for i in label]}
        binary[f"{name}.bin"] = np.column_stack([*columns, image]).tobytes()
        python[name] = pickled({"data": image, **batch, **about})
    return binary, python


def stl10(train: int, unlabelled: int, test: int) -> dict[str, bytes]:
    """The files of the binary version; of each image the columns are stored one after the other."""
    sizes = {"train": train, "unlabeled": unlabelled, "test": test}
    files = {
        f"{split}_X.bin": pixels(seed, size, 3, 96, 96).tobytes()
        for seed, (split, size) in enumerate(sizes.items())
    }
    for split in ("train", "test"):
        files[f"{split}_y.bin"] = (labels(sizes[split], 10) + 1).tobytes()
    return files


def svhn(seed: int, count: int) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    label = labels(count, 10)
    numbers = np.where(label == 0, 10, label)[:, None]
    savemat(out, {"X": pixels(seed, 32, 32, 3, count), "y": numbers}, do_compression=True)
    return out.getvalue()


def idx(train: int, test: int) -> dict[str, bytes]:
    """The four files of MNIST's format, not yet compressed."""
    files = {}
    for seed, (split, size) in enumerate((("train", train), ("t10k", test))):
        shape = pack(">4i", 0x803, size, 28, 28)
        files[f"{split}-images-idx3-ubyte"] = shape + pixels(seed, size, 28, 28).tobytes()
        files[f"{split}-labels-idx1-ubyte"] = pack(">2i", 0x801, size) + labels(size, 10).tobytes()
    return files


def gzipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in files.items()}


def trimap(seed: int, width: int, height: int) -> bytes:
    """A pet (1) with a border (3) on its background (2)."""
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - height / 2, columns - width / 2) - 15 - seed % 7
    out = io.BytesIO()
    values = np.select([distance < -2, distance < 2], [1, 3], 2).astype(np.uint8)
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def jpeg(seed: int, width: int, height: int, mode: str = "RGB") -> bytes:
    coarse = Image.fromarray(pixels(seed, 4, 4, 3)).resize((width, height)).convert(mode)
    out = io.BytesIO()
    coarse.save(out, "JPEG", quality=90)
    return out.getvalue()
