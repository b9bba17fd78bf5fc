"""Images that stay compressed, as JPEG or PNG, until somebody asks for their pixels."""

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


class ImageStore:
    """The bytes of N compressed images in one file on disk, each read and checked on demand.

    The file is not memory-mapped. Around each image the kernel would read megabytes that nobody
    needs, and where memory is short it would drop pages that somebody does need.
    """

    def __init__(self, file: IO[bytes], start: np.ndarray, length: np.ndarray, crc32: np.ndarray):
        self.start, self.length = start, length  # int64 (N,), in bytes
        self.crc32 = crc32  # int64 (N,), of each image's bytes
        self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, row: int) -> bytes:
        """The bytes of one image. Raises `Unreadable` if they have changed since."""
        content = os.pread(self.descriptor, int(self.length[row]), int(self.start[row]))
        # JPEG has no checksum of its own, so a flipped bit would pass as another picture.
        if zlib.crc32(content) != self.crc32[row]:
            raise Unreadable("its checksum is wrong")
        return content


class CompressedImages:
    """N compressed images that behave like a uint8 tensor (N, C, H, W) where we need it.

    Indexing gives some of them, still compressed; `to` gives their pixels.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        store: ImageStore,
        id: Tensor,  # of each image in the store
        size: tuple[int, int, int],  # (C, H, W)
        where: str,  # the file they are in, for messages
        rows: Tensor | None = None,  # of the store, in order; None is all
    ):
        self.store, self.id, self.size, self.where = store, id, size, where
        self.rows = torch.arange(len(store)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self.size)

    @property
    def nbytes(self) -> int:
        """The size of the pixels."""
        return math.prod(self.shape)

    def __getitem__(self, index: slice | Tensor) -> "CompressedImages":
        return CompressedImages(self.store, self.id, self.size, self.where, self.rows[index])

    def file_bytes(self) -> list[bytes]:
        """The compressed bytes of each image. Raises `UserError` if one is damaged."""
        found = []
        for row in self.rows.tolist():
            with self._explain_damage(row):
                found.append(self.store[row])
        return found

    @property
    def crc32(self) -> Tensor:
        """The checksum of each image's bytes, int64 (N,)."""
        return torch.from_numpy(self.store.crc32)[self.rows]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Tensor:
        """The pixels (N, C, H, W) on `device`. Raises `UserError` if an image is damaged."""
        pixels = torch.empty(self.shape, dtype=torch.uint8)
        self.decode(pixels)
        return pixels.to(device, non_blocking=non_blocking)

    def decode(self, out: Tensor) -> None:
        """Write the pixels into `out` (N, C, H, W). Raises `UserError` if an image is damaged."""
        for pixels, row in zip(out.numpy(), self.rows.tolist(), strict=True):
            with self._explain_damage(row):
                pixels[:] = decode(self.store[row], self.size)

    @contextmanager
    def _explain_damage(self, row: int) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            raise UserError(
                f"image {int(self.id[row])} of {self.where} is damaged ({error}); delete the "
                "file and prepare the dataset again"
            ) from error


def encode(pixels: np.ndarray, format: Format) -> bytes:
    """Compress an image, uint8 (C, H, W) with C 1 or 3, to the bytes of a file."""
    buffer = BytesIO()
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    image = Image.fromarray(rows[:, :, 0] if len(pixels) == 1 else rows)
    image.save(buffer, format, **OPTIONS[format])
    return buffer.getvalue()


def keep_or_encode(encoded: bytes, pixels: np.ndarray, format: Format) -> bytes:
    """The bytes of a file that shows `pixels` (C, H, W): the original file where that will do.

    The original is kept if it already has this size and these pixels and takes no more bytes than
    the pixels; otherwise the pixels are encoded again.
    """
    with Image.open(BytesIO(encoded), formats=FORMATS) as image:
        same = image.size == pixels.shape[:0:-1] and len(encoded) <= pixels.nbytes
    if same and np.array_equal(
        decode(encoded, pixels.shape), pixels
    ):  # they differ if it is rotated
        return encoded
    return encode(pixels[:1] if (pixels == pixels[:1]).all() else pixels, format)


def spool(images: Iterable[bytes], folder: Path) -> ImageStore:
    """Write compressed images one after another into an unnamed temporary file in `folder`.

    The file disappears with the process, however the process ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        written = [(file.write(each), zlib.crc32(each)) for each in images]
        file.flush()
        length, crc32 = np.array(written, np.int64).reshape(-1, 2).T
        return ImageStore(file, length.cumsum() - length, length, crc32)
