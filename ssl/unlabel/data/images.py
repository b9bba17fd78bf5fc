"""Images and labels of one split, in memory and as a memory-mapped Arrow file.

The file has the columns `id` (int64), `image` (a fixed-shape tensor, uint8 (C, H, W), or the bytes
of a JPEG or PNG file of that shape), `label` and, for each factor, `factor_NAME` (int64, null where
an image has none), and in its schema's metadata what a model must know beforehand, and a checksum.
That is not of encoded images, which are read one by one: each has its own, in the column `crc32`.
"""

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

from unlabel.data.compressed import BLOCK, Encoded, Files
from unlabel.errors import UserError, damage
from unlabel.files import whole

UNLABELLED = -1


class Images(NamedTuple):
    """A set of N images."""

    id: Tensor  # int64 (N,)
    image: Tensor | Encoded  # uint8 (N, C, H, W)
    label: Tensor  # int64 (N,), -1 where there is none
    factor: Tensor  # int64 (N, F), what else is known of each; -1 where there is nothing

    @classmethod
    def of(cls, id: Tensor, image: Tensor | Encoded, label: Tensor) -> "Images":
        """Images of which nothing is known but their label: F is 0."""
        return cls(id, image, label, torch.empty(len(id), 0, dtype=torch.int64))

    def take(self, index: slice | Tensor) -> "Images":
        """The images at `index` (n,) or of a mask (N,); only some pixels by number are copied."""
        if isinstance(index, Tensor):
            index = index.to(self.id.device)
            index = index.nonzero().flatten() if index.dtype == torch.bool else index
            every = torch.arange(len(self.id), device=index.device)
            if len(index) == len(every) and torch.equal(index, every):
                return self  # all of them may be more than memory holds
        return Images(self.id[index], self.image[index], self.label[index], self.factor[index])

    def without(self, out: Tensor) -> "Images":
        """The images that are not `out`, a mask (N,); these here are of no use afterwards.

        Their pixels move up in place, a block at a time: memory may not hold them twice.
        """
        index = (~out).nonzero().flatten()
        if isinstance(self.image, Encoded):
            return self.take(index)
        for start in range(0, len(index), BLOCK):
            part = index[start : start + BLOCK]
            self.image[start : start + len(part)] = self.image[part]
        return Images(
            self.id[index], self.image[: len(index)], self.label[index], self.factor[index]
        )

    @property
    def pixels(self) -> Tensor:
        """uint8 (N, C, H, W), decoded where they are not. Raises `UserError` as `decode` does."""
        return self.image if isinstance(self.image, Tensor) else self.image.to("cpu")

    def decoded(self) -> "Images":
        """The same images as pixels."""
        return self._replace(image=self.pixels)


@dataclass(frozen=True)
class Data:
    """What a model must know of a dataset before it sees an image."""

    name: str
    shape: tuple[int, int, int]  # (C, H, W)
    mean: tuple[float, ...]  # of each channel, for pixels in [0, 1]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    size: int  # the number of images in the split, or of those that are trained on
    source: str  # where the images came from
    sha256: dict[str, str]  # of each raw file
    # the columns of `Images.factor`, in order: each one's name, and the names of its values
    factors: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> "Data":
        """From JSON, whose lists become tuples again."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        values["factors"] = {k: tuple(v) for k, v in fields.get("factors", {}).items()}
        return cls(**values)


def write(path: Path, images: Images, data: Data) -> None:
    """Write one split, whole or not at all: encoded images as they are, a block at a time."""
    # Pixels are one block, which a memory map gives back as one tensor.
    size = BLOCK if isinstance(images.image, Encoded) else max(1, len(images.id))
    told = json.dumps(asdict(data), sort_keys=True)
    about = {"unlabel": told, "crc32": str(_checksum(images, told.encode()))}
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
    image = _encoded(images.image) if isinstance(images.image, Encoded) else _pixels(images.image)
    columns = {"id": images.id.numpy(), "image": image, "label": known(images.label)}
    if isinstance(images.image, Encoded):
        columns["crc32"] = images.image.crc32.numpy()
    for name, values in zip(data.factors, images.factor.unbind(1), strict=True):
        columns[f"factor_{name}"] = known(values)
    return pa.table(columns).replace_schema_metadata(about)


def _checksum(images: Images, about: bytes) -> int:
    """Of encoded images, which may be more than memory holds, that of their checksums."""
    crc = zlib.crc32(about)
    for each in images:
        values = each if isinstance(each, Tensor) else each.crc32
        crc = zlib.crc32(f"{values.dtype} {tuple(values.shape)}".encode(), crc)
        crc = zlib.crc32(values.contiguous().flatten().view(torch.uint8).numpy().data, crc)
    return crc


def _encoded(image: Encoded) -> pa.Array:
    return pa.array(image.encoded(), pa.binary())


def _pixels(image: Tensor) -> pa.Array:
    size = list(image.shape[1:])
    flat = pa.array(image.numpy().reshape(-1))
    pixels = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(size)))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), size), pixels)


def known(values: Tensor) -> pa.Array:
    """A column of labels (N,), null where they are -1."""
    return pa.array(values.cpu().numpy(), mask=(values == UNLABELLED).cpu().numpy())


def read(path: Path) -> tuple[Images, Data]:
    """Map one split into memory; jobs on one machine share its pages, and the kernel frees them.

    Raises `UserError` if the file is missing, truncated or of another format.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: prepare the dataset first")
    with damage(f"{path} is not a whole prepared dataset", "delete it and prepare it again"):
        with path.open("rb") as file:
            mapped = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            table = pa.ipc.open_file(mapped).read_all()
        data = Data.parse(json.loads(table.schema.metadata[b"unlabel"]))
        ids = torch.tensor(table["id"].to_numpy())
        image: Tensor | Encoded
        if pa.types.is_binary(table["image"].type):
            image = Encoded(_files(path, mapped, table), ids, data.shape, str(path))
        else:
            image = _mapped(table["image"], data)
        images = Images.of(ids, image, _labels(table["label"]))
        factors = [_labels(table[f"factor_{name}"]) for name in data.factors]
        images = images._replace(factor=torch.stack(factors, 1)) if factors else images
        about = table.schema.metadata
        found = _checksum(images, about[b"unlabel"])
        if int(about.get(b"crc32", found)) != found:  # one of an earlier version has none
            raise ValueError("its checksum is another")
        return images, data


def _mapped(column: pa.ChunkedArray, data: Data) -> Tensor:
    if not len(column):
        return torch.empty(0, *data.shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The pages are read-only; nothing here writes to them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(column.combine_chunks().to_numpy_ndarray())


def _files(path: Path, mapped: pa.Buffer, table: pa.Table) -> Files:
    """Where in the file, which is `mapped`, each image's bytes are."""
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
        return Files(file, np.concatenate(start), np.concatenate(length), crc32)


def _labels(column: pa.ChunkedArray) -> Tensor:
    return torch.tensor(column.fill_null(UNLABELLED).to_numpy())
