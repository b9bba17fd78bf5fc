"""Images and labels of one split, in memory and as a memory-mapped Arrow file.

The file has the columns `id` (int64), `image` (a fixed-shape tensor, uint8 (C, H, W), or the bytes
of a JPEG or PNG file of that shape), `label` and, for each factor, `factor_NAME` (int64, null if an
image has none). The metadata of its schema hold a checksum, and what a model must know in advance.
The checksum leaves out compressed images, which are read one by one: the column `crc32` has theirs.
"""

import hashlib
import json
import mmap
import warnings
import zlib
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from unlabel.data.compressed import BLOCK, CompressedImages, ImageStore
from unlabel.errors import UserError, damage
from unlabel.files import whole

UNLABELLED = -1


class Images(NamedTuple):
    """A set of N images."""

    id: Tensor  # int64 (N,)
    image: Tensor | CompressedImages  # uint8 (N, C, H, W)
    label: Tensor  # int64 (N,), -1 if there is none
    factor: Tensor  # int64 (N, F), what else is known of each; -1 if unknown

    @classmethod
    def of(cls, id: Tensor, image: Tensor | CompressedImages, label: Tensor) -> "Images":
        """Images with a label and no factors: F is 0."""
        return cls(id, image, label, torch.empty(len(id), 0, dtype=torch.int64))

    def take(self, index: slice | Tensor) -> "Images":
        """The images at an index (n,), a mask (N,) or a slice. A slice copies no pixels."""
        if isinstance(index, Tensor):
            index = index.to(self.id.device)
            index = index.nonzero().flatten() if index.dtype == torch.bool else index
            if len(index) == len(self.id):
                every = torch.arange(len(index), device=index.device)
                if torch.equal(index, every):
                    return self  # a copy of all may be more than memory holds
        return Images(self.id[index], self.image[index], self.label[index], self.factor[index])

    def without(self, out: Tensor) -> "Images":
        """The images outside of the mask `out` (N,). Do not use this object afterwards.

        The pixels move up in place, block by block, as memory may not hold them twice.
        """
        index = (~out).nonzero().flatten()
        if isinstance(self.image, CompressedImages):
            return self.take(index)
        for start in range(0, len(index), BLOCK):
            part = index[start : start + BLOCK]
            self.image[start : start + len(part)] = self.image[part]
        return Images(
            self.id[index], self.image[: len(index)], self.label[index], self.factor[index]
        )

    @property
    def pixels(self) -> Tensor:
        """The pixels, uint8 (N, C, H, W). Raises `UserError` if a compressed image is damaged."""
        return self.image if isinstance(self.image, Tensor) else self.image.to("cpu")

    def decoded(self) -> "Images":
        """The same images, as pixels."""
        return self._replace(image=self.pixels)


@dataclass(frozen=True)
class Data:
    """What a model must know about a dataset before it sees an image."""

    name: str
    shape: tuple[int, int, int]  # (C, H, W)
    mean: tuple[float, ...]  # of each channel, for pixels in [0, 1]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    size: int  # of images in the split, or of images trained on
    source: str  # where the images come from
    sha256: dict[str, str]  # of each raw file
    # for each column of `Images.factor`, its name and the names of its values
    factors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # how image files became these images, as `Preprocessing.record`; empty if nobody says
    preprocessing: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """For JSON; `parse` reverses it. What nobody says is left out."""
        fields = asdict(self)
        if not self.preprocessing:
            del fields["preprocessing"]
        return fields

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> "Data":
        """Build from JSON; lists become tuples again."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        values["factors"] = {k: tuple(v) for k, v in fields.get("factors", {}).items()}
        return cls(**values)


def write(path: Path, images: Images, data: Data) -> None:
    """Write one split, whole or not at all. Compressed images are written block by block."""
    # Pixels are one block, so that a memory map gives them back as one tensor.
    size = BLOCK if isinstance(images.image, CompressedImages) else max(1, len(images.id))
    text = json.dumps(data.record(), sort_keys=True)
    about = {"unlabel": text, "crc32": str(_checksum(images, text.encode()))}
    tables = (
        _table(images.take(slice(start, start + size)), data, about)
        for start in range(0, max(1, len(images.id)), size)
    )
    first = next(tables)
    with whole(path) as part, pa.OSFile(str(part), "wb") as sink:
        large = pa.ipc.IpcWriteOptions(allow_64bit=True)  # for pixels of more than 2 GiB
        with pa.ipc.new_file(sink, first.schema, options=large) as writer:
            for table in chain([first], tables):
                writer.write_table(table, max_chunksize=size)


def _table(images: Images, data: Data, about: dict[str, str]) -> pa.Table:
    columns = {
        "id": images.id.numpy(),
        "image": _column(images.image),
        "label": known(images.label),
    }
    if isinstance(images.image, CompressedImages):
        columns["crc32"] = images.image.crc32.numpy()
    for name, values in zip(data.factors, images.factor.unbind(1), strict=True):
        columns[f"factor_{name}"] = known(values)
    return pa.table(columns).replace_schema_metadata(about)


def _checksum(images: Images, about: bytes) -> int:
    """The checksum of all columns; of compressed images, which may not fit in memory, of theirs."""
    crc = zlib.crc32(about)
    for each in images:
        values = each if isinstance(each, Tensor) else each.crc32
        crc = zlib.crc32(f"{values.dtype} {tuple(values.shape)}".encode(), crc)
        crc = zlib.crc32(values.contiguous().flatten().view(torch.uint8).numpy().data, crc)
    return crc


def _column(image: Tensor | CompressedImages) -> pa.Array:
    if isinstance(image, CompressedImages):
        return pa.array(image.file_bytes(), pa.binary())
    size = list(image.shape[1:])
    flat = pa.array(image.numpy().reshape(-1))
    pixels = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(size)))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), size), pixels)


def known(values: Tensor) -> pa.Array:
    """A column of labels (N,), null for -1."""
    return pa.array(values.cpu().numpy(), mask=(values == UNLABELLED).cpu().numpy())


def read(path: Path) -> tuple[Images, Data]:
    """Map one split into memory. Jobs on one machine share its pages, and the kernel can free them.

    Raises `UserError` if the file is missing, truncated or in another format.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: prepare the dataset first")
    with damage(f"{path} is not a whole prepared dataset", "delete it and prepare it again"):
        with path.open("rb") as file:
            mapped = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            table = pa.ipc.open_file(mapped).read_all()
        data = Data.parse(json.loads(table.schema.metadata[b"unlabel"]))
        ids = torch.tensor(table["id"].to_numpy())
        image: Tensor | CompressedImages
        if pa.types.is_binary(table["image"].type):
            image = CompressedImages(_files(path, mapped, table), ids, data.shape, str(path))
        else:
            image = _mapped(table["image"], data)
        images = Images.of(ids, image, _labels(table["label"]))
        factors = [_labels(table[f"factor_{name}"]) for name in data.factors]
        images = images._replace(factor=torch.stack(factors, 1)) if factors else images
        about = table.schema.metadata
        found = _checksum(images, about[b"unlabel"])
        if int(about.get(b"crc32", found)) != found:  # files of an earlier version have none
            raise ValueError("its checksum is wrong")
        return images, data


def identity(path: Path) -> str:
    """A digest of the checksum and the facts of a prepared split, which is not read for it.

    Raises `UserError` if the file is missing or damaged.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: prepare the dataset first")
    with damage(f"{path} is not a whole prepared dataset", "delete it and prepare it again"):
        with pa.memory_map(str(path)) as file:
            about = pa.ipc.open_file(file).schema.metadata
        known = about[b"unlabel"] + about.get(b"crc32", b"")
    return hashlib.sha256(known).hexdigest()[:16]


def _mapped(column: pa.ChunkedArray, data: Data) -> Tensor:
    if not len(column):
        return torch.empty(0, *data.shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The pages are read-only, and nothing here writes to them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(column.combine_chunks().to_numpy_ndarray())


def _files(path: Path, mapped: pa.Buffer, table: pa.Table) -> ImageStore:
    """Find each image's bytes in the file, which is `mapped`."""
    column = table["image"]
    column.validate(full=True)
    start, length = [np.array([], np.int64)], [np.array([], np.int64)]
    for chunk in filter(len, column.chunks):
        _, offsets, content = chunk.buffers()
        places = np.frombuffer(offsets, np.int32, len(chunk) + 1, 4 * chunk.offset).astype(np.int64)
        start.append(places[:-1] + (content.address - mapped.address))
        length.append(np.diff(places))
    with path.open("rb") as file:
        crc32 = table["crc32"].to_numpy().copy()
        return ImageStore(file, np.concatenate(start), np.concatenate(length), crc32)


def _labels(column: pa.ChunkedArray) -> Tensor:
    return torch.tensor(column.fill_null(UNLABELLED).to_numpy())
