"""Whole files of every format that is read: what the fuzzer then damages."""

import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from PIL import Image

from support import large_sets, published
from unlabel import weights as checkpoint
from unlabel.data import images
from unlabel.data.compressed import CompressedImages, encode, spool
from unlabel.data.images import Data, Images
from unlabel.features import neighbours, parquet
from unlabel.features.split import ALL, SPLITS, Split, Views

PARAMS = Path(__file__).parents[2] / "params"
SAVED: dict[str, list[dict[str, Any]]] = {  # how Pillow is to write each format
    "BMP": [{}],
    "GIF": [{}, {"save_all": True, "append_images": 2, "duration": 40}],
    "JPEG": [{"quality": 90}, {"progressive": True}, {"quality": 20, "exif": 6}],
    "JPEG2000": [{}, {"irreversible": True, "quality_mode": "dB", "quality_layers": [30]}],
    "PNG": [{}, {"compress_level": 0}, {"exif": 8}],
    "PPM": [{}],
    "TIFF": [{"compression": c} for c in (None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg")],
    "WEBP": [{"lossless": True}, {"quality": 60}, {"save_all": True, "append_images": 2}],
}
MODES = {
    "BMP": ("RGB", "L", "1", "P"),
    "GIF": ("RGB", "P", "L"),
    "JPEG": ("RGB", "L", "CMYK"),
    "JPEG2000": ("RGB", "L", "RGBA"),
    "PNG": ("RGB", "RGBA", "LA", "L", "1", "P", "I;16"),
    "PPM": ("RGB", "L", "1"),
    "TIFF": ("RGB", "RGBA", "L", "1", "P", "CMYK", "I;16", "F"),
    "WEBP": ("RGB", "RGBA"),
}


def photo(mode: str = "RGB", size: tuple[int, int] = (48, 36)) -> Image.Image:
    """A part of scikit-learn's photograph of a flower."""
    from sklearn.datasets import load_sample_image

    flower = Image.fromarray(load_sample_image("flower.jpg")).resize(size)
    if mode == "I;16":
        return Image.fromarray(np.asarray(flower.convert("L")).astype(np.uint16) * 257)
    return flower.convert(mode)


@cache
def encoded(format: str) -> list[bytes]:
    """The photograph in every mode and with all the options of a format."""
    files = []
    for mode in MODES[format]:
        for options in SAVED[format]:
            if options.get("compression") == "jpeg" and mode not in ("RGB", "L"):
                continue
            written = dict(options)
            if frames := written.get("append_images"):
                written["append_images"] = [photo(mode).rotate(90 * n) for n in range(frames)]
            if turned := written.get("exif"):
                written["exif"] = Image.Exif()
                written["exif"][0x0112] = turned
            file = BytesIO()
            photo(mode).save(file, format, **written)
            files.append(file.getvalue())
    return files


# Names that must not lead anywhere, or mean anything to whoever reads them.
NAMES = [
    *("a/b", "../x", "/x", "a/../../x", "..\\x", "C:\\x", "\\\\host\\x", "a\0b", "a\nb"),
    *("é/ü", "\u202egnp.x", ".", "..", "./x", "a//b", "-rf", "$(touch x)", "`touch x`", "a;b"),
    *("a'b", 'a"b', "x" * 300, "con", " "),
]
KINDS = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
         tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE]  # fmt: skip


@cache
def tars() -> list[bytes]:
    """Not yet compressed: of all kinds of members, in each of the three forms."""
    files = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        for names, kinds in ((["a/one", "a/two"], [tarfile.REGTYPE]), (NAMES, KINDS)):
            file = BytesIO()
            if form == tarfile.USTAR_FORMAT:  # has no room for more
                names = [name for name in names if len(name) < 100]
            with tarfile.open(fileobj=file, mode="w", format=form) as archive:
                for at, name in enumerate(names):
                    entry = tarfile.TarInfo(name)
                    entry.type, entry.linkname = kinds[at % len(kinds)], names[-1 - at]
                    entry.size = 600 if entry.isreg() else 0
                    archive.addfile(entry, BytesIO(bytes(range(200)) * 3))
            files.append(file.getvalue())
    return files


@cache
def zips() -> list[bytes]:
    files = []
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        for names in (["a/one", "a/two"], NAMES):
            file = BytesIO()
            with zipfile.ZipFile(file, "w", kind) as archive:
                for name in names:
                    archive.writestr(name, bytes(range(200)) * 3)
            files.append(file.getvalue())
    return files


@cache
@cache
def shards() -> list[bytes]:
    """Archives of images and their labels, one with long names."""
    found = []
    for start in ("", "folder/" * 20):
        files = dict[str, bytes]()
        for at, image in enumerate(encoded("JPEG")[:12]):
            files |= {f"{start}{at}.jpg": image, f"{start}{at}.cls": str(at % 2).encode()}
        found.append(_written(lambda path, files=files: large_sets.tar(path, files)))  # type: ignore[misc]
    return found


@cache
def streams() -> list[bytes]:
    """An Arrow file as `save_to_disk` writes it."""
    rows = large_sets.hugging_face_table(range(12), [0, 1] * 6)

    def write(path: Path) -> None:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, rows.schema) as stream:
            stream.write_table(rows, max_chunksize=5)

    return [_written(write)]


def matlab() -> list[bytes]:
    from scipy.io import savemat

    file = BytesIO()
    label = published.labels(6, 10)[:, None]
    savemat(file, {"X": published.pixels(0, 32, 32, 3, 6), "y": label}, do_compression=False)
    return [published.svhn(0, 6), file.getvalue()]


@cache
def idx() -> list[bytes]:
    return [gzip.compress(each, mtime=0) for each in published.idx(3, 2).values()]


@cache
def batches() -> list[bytes]:
    return [*published.cifar(10, 2)[1].values()][-2:] + [*published.cifar(100, 2)[1].values()][-1:]


def _data() -> Data:
    return Data(
        name="fuzzed", shape=(1, 4, 4), mean=(0.3,), std=(0.3,), classes=("a", "b"), size=6,
        source="nowhere", sha256={},
    )  # fmt: skip


def _written(write: Callable[[Path], object], suffix: str = "") -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"file{suffix}")
        write(path)
        return path.read_bytes()


@cache
def parquets() -> list[bytes]:
    """Tables of encoded images, as texts, numbers and structs, in each compression."""
    image = [*encoded("PNG")[:6], *encoded("JPEG")[:6]]
    label, id = ["cat", "dog"] * 6, [f"{at}.png" for at in range(12)]
    split = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    plain = pa.table({"id": id, "image": image, "label": label, "split": split})
    struct = pa.array([{"bytes": each, "path": "x"} for each in image])
    named = plain.set_column(1, "image", struct).set_column(2, "label", pa.array([0, 1] * 6))
    return [
        _written(lambda path, t=table, c=kind: pq.write_table(t, path, compression=c))  # type: ignore[misc]
        for table in (plain, named)
        for kind in ("none", "snappy", "zstd", "gzip")
    ]


@cache
def tables() -> list[bytes]:
    """CSV files of paths."""
    paths = ["a.png", "b c.png", 'd"e.png', "é.png"]
    table = pa.table({"image": paths, "label": ["1", "2", "=1+1", ""], "split": ["train"] * 4})
    return [_written(lambda path: pa.csv.write_csv(table, path))]


@cache
def arrows() -> list[bytes]:
    """Prepared datasets, of pixels and of JPEG files."""
    pixels = torch.arange(96, dtype=torch.uint8).view(6, 1, 4, 4)
    some = Images.of(torch.arange(6), pixels, torch.arange(6) % 2)
    with TemporaryDirectory() as folder:
        files = spool((encode(each, "jpeg") for each in pixels.numpy()), Path(folder))
        jpeg = some._replace(image=CompressedImages(files, some.id, (1, 4, 4), "these"))
        both = [_written(partial(images.write, images=each, data=_data())) for each in (some, jpeg)]
    return both


@cache
def weights() -> list[bytes]:
    tensors = {"a": torch.ones(3, 2), "b": torch.arange(4), "c": torch.ones(2).bfloat16()}
    return [_written(lambda path: checkpoint.write(path, tensors, {"step": 1}))]


@cache
def features_() -> list[bytes]:
    """What the stage `features` writes of images."""
    label, factor, h = torch.arange(6) % 2, torch.empty(6, 0).long(), torch.ones(6, 4)
    parts = [
        (name, Split(torch.arange(6) + 6 * at, label, factor, h)) for at, name in enumerate(SPLITS)
    ]
    return [_written(lambda path: parquet.write(path, parts, ("a", "b"), {}))]


@cache
def views() -> list[bytes]:
    some = {ALL: Views(torch.arange(6), torch.ones(6, 4), torch.ones(6, 4))}
    return [_written(lambda path: parquet.write_views(path, some.items(), list(some)))]


@cache
def embedded() -> list[bytes]:
    """What `unlabel embed` writes."""
    parts = [([f"{at}.png" for at in range(6)], torch.ones(6, 4), None)]
    about = {"run": "r", "encoder_sha256": "0" * 64, "images": "x", "fit": "crop"}
    return [_written(lambda path: neighbours.write(path, "path", parts, about))]


@cache
def studies() -> list[bytes]:
    return [path.read_bytes() for path in sorted((PARAMS / "study").glob("*.yaml"))]


@cache
def settings() -> list[bytes]:
    return [path.read_bytes() for path in sorted((PARAMS / "method").glob("*.yaml"))]


@cache
def reports() -> list[bytes]:
    told = {"path": "photos", "content": "0" * 16, "labelled": True, "summary": ["so many"]}
    return [json.dumps(told, indent=1).encode()]
