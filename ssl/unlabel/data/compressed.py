"""Images that stay encoded, as JPEG or PNG, until their pixels are asked for."""

import math
import os
import tempfile
import weakref
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unlabel.data.decode import FORMATS, Unreadable, decode
from unlabel.errors import UserError

Format = Literal["jpeg", "png"]
OPTIONS: dict[Format, dict[str, int]] = {"jpeg": {"quality": 95, "subsampling": 0}, "png": {}}
BLOCK = 1000  # images of a record batch


class Files:
    """N encoded images in one file on the disk, each read, and checked, when it is asked for.

    They are not memory-mapped: around each place the kernel would read megabytes that nobody needs,
    and where memory is short drop those for it that somebody does.
    """

    def __init__(self, file: IO[bytes], start: np.ndarray, length: np.ndarray, crc32: np.ndarray):
        self.start, self.length = start, length  # int64 (N,), in bytes
        self.crc32 = crc32  # int64 (N,), of each image's bytes
        self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, row: int) -> bytes:
        """Raises `Unreadable` for other bytes than were written."""
        content = os.pread(self.descriptor, int(self.length[row]), int(self.start[row]))
        # JPEG has no checksum of its own: a wrong bit would be another picture.
        if zlib.crc32(content) != self.crc32[row]:
            raise Unreadable("its checksum is another")
        return content


class Encoded:
    """N encoded images, with the operations of a uint8 tensor (N, C, H, W) that are in use.

    An index gives some of them, still encoded; `to` gives their pixels.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        files: Files,  # one for each id
        id: Tensor,
        size: tuple[int, int, int],  # (C, H, W)
        where: str,  # they are, in words
        rows: Tensor | None = None,  # of the files, in order; None is all
    ):
        self.files, self.id, self.size, self.where = files, id, size, where
        self.rows = torch.arange(len(files)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self.size)

    @property
    def nbytes(self) -> int:
        """Of the pixels."""
        return math.prod(self.shape)

    def __getitem__(self, index: slice | Tensor) -> "Encoded":
        return Encoded(self.files, self.id, self.size, self.where, self.rows[index])

    def encoded(self) -> list[bytes]:
        """Each image as it is. Raises `UserError` for one that is damaged."""
        files = []
        for row in self.rows.tolist():
            with self._damage(row):
                files.append(self.files[row])
        return files

    @property
    def crc32(self) -> Tensor:
        """int64 (N,), of each image's bytes."""
        return torch.from_numpy(self.files.crc32)[self.rows]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Tensor:
        """The pixels (N, C, H, W) on `device`. Raises `UserError` as `decode` does."""
        pixels = torch.empty(self.shape, dtype=torch.uint8)
        self.decode(pixels)
        return pixels.to(device, non_blocking=non_blocking)

    def decode(self, out: Tensor) -> None:
        """Fill `out` (N, C, H, W). Raises `UserError` for an image that is damaged."""
        for pixels, row in zip(out.numpy(), self.rows.tolist(), strict=True):
            with self._damage(row):
                pixels[:] = decode(self.files[row], self.size)

    @contextmanager
    def _damage(self, row: int) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            raise UserError(
                f"image {int(self.id[row])} of {self.where} is damaged ({error}); delete the "
                "file and prepare the dataset again"
            ) from error


def encode(pixels: np.ndarray, format: Format) -> bytes:
    """A file of an image in uint8 (C, H, W); C is 1 or 3."""
    buffer = BytesIO()
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    image = Image.fromarray(rows[:, :, 0] if len(pixels) == 1 else rows)
    image.save(buffer, format, **OPTIONS[format])
    return buffer.getvalue()


def fitting(encoded: bytes, pixels: np.ndarray, format: Format) -> bytes:
    """The file of an image of which `pixels` (C, H, W) are to be kept: as it is where it can be.

    That is where it has their size and takes no more bytes; else they are encoded anew.
    """
    with Image.open(BytesIO(encoded), formats=FORMATS) as image:
        same = image.size == pixels.shape[:0:-1] and len(encoded) <= pixels.nbytes
    if same and np.array_equal(decode(encoded, pixels.shape), pixels):  # not so if it is turned
        return encoded
    return encode(pixels[:1] if (pixels == pixels[:1]).all() else pixels, format)


def spool(images: Iterable[bytes], folder: Path) -> Files:
    """Encoded images, one after another, in a nameless file of `folder`.

    It ends with the process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        told = [(file.write(each), zlib.crc32(each)) for each in images]
        file.flush()
        length, crc32 = np.array(told, np.int64).reshape(-1, 2).T
        return Files(file, length.cumsum() - length, length, crc32)
