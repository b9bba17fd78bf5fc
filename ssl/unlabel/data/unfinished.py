"""What was made of the first images of a dataset, part by part, in files that outlive a kill.

`images` has the bytes of one image after another, and `parts` a line for each part. A line has the
part's checksum and its own, so whatever a kill or a power cut leaves, a part is found whole or not.
"""

import json
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any, NamedTuple

BLOCK = 1 << 20  # bytes read at a time


class Part(NamedTuple):
    """Some images, one after another in the file."""

    length: int  # in bytes
    crc32: int
    about: Any  # what JSON can hold


class Unfinished:
    """The images so far. `key` says what was made of them; those of another key are forgotten."""

    def __init__(self, images: IO[bytes], parts: IO[bytes], key: str):
        self.images, self.parts = images, parts
        self.length = self.crc32 = 0  # of the part that is being written
        if parts.readline() != _line(key):
            self._cut(0, 0)
            parts.write(_line(key))

    def found(self) -> Generator[Part]:
        """The parts that are whole; once closed, those that were taken are all that is left."""
        taken = self.images.tell(), self.parts.tell()
        try:
            while part := self._next():
                yield part
                taken = self.images.tell(), self.parts.tell()
        finally:
            self._cut(*taken)

    def add(self, image: bytes) -> None:
        """One more image of the next part."""
        self.images.write(image)
        self.length += len(image)
        self.crc32 = zlib.crc32(image, self.crc32)

    def end_part(self, about: Any) -> None:
        """The images since the last call are a part."""
        self.images.flush()
        self.parts.write(_line([self.length, self.crc32, about]))
        self.parts.flush()
        self.length = self.crc32 = 0

    def _next(self) -> Part | None:
        line = self.parts.readline()
        checksum, _, text = line.partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%d" % zlib.crc32(text):
            return None
        part, crc32 = Part(*json.loads(text)), 0
        for start in range(0, part.length, BLOCK):
            crc32 = zlib.crc32(self.images.read(min(BLOCK, part.length - start)), crc32)
        return part if crc32 == part.crc32 else None

    def _cut(self, images: int, parts: int) -> None:
        for file, length in ((self.images, images), (self.parts, parts)):
            file.seek(length)
            file.truncate()


def opened(path: Path) -> IO[bytes]:
    """A file to read and to write, with what it has."""
    path.touch()
    return path.open("r+b")


def _line(value: Any) -> bytes:
    text = json.dumps(value).encode() + b"\n"
    return b"%d %s" % (zlib.crc32(text), text)
