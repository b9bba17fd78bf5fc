"""Read arrays of numbers from a MATLAB file of version 5, such as SVHN's.

SciPy's reader crashes the process on some damaged files. This one reads no objects and no texts,
and checks each length against the file before it trusts it.

MathWorks, MAT-File Level 5 File Format.
"""

import zlib
from pathlib import Path
from struct import unpack_from
from typing import IO

import numpy as np

HEADER = 128  # bytes
VERSION = b"\x00\x01IM"  # ends the header; numbers are little-endian
MATRIX, COMPRESSED = 14, 15  # kinds of elements besides plain numbers:
KINDS = dict(zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), "bBhHiIfdqQ", strict=True))
CLASSES = dict(zip(range(6, 16), "dfbBhHiIqQ", strict=True))  # of arrays
COMPLEX = 0x800
BLOCK = 1 << 20  # bytes unpacked at a time


def read(path: Path, limit: int) -> dict[str, np.ndarray]:
    """The arrays by name; those without plain numbers are left out.

    Raises `ValueError`, `struct.error` or `zlib.error` if the file is damaged, or if an array
    unpacks to more than `limit` bytes.
    """
    arrays: dict[str, np.ndarray] = {}
    end = path.stat().st_size
    with path.open("rb") as file:
        if file.read(HEADER)[-len(VERSION) :] != VERSION:
            raise ValueError("it is not a MATLAB file of version 5")
        while file.tell() < end:
            kind, size = unpack_from("<2I", file.read(8))
            if size > end - file.tell():
                raise ValueError("it ends early")
            if kind == COMPRESSED:
                kind, content, _ = _element(memoryview(_unpacked(file, size, limit)))
            else:
                content = memoryview(file.read(size))
            if kind == MATRIX:
                arrays |= _array(content)
    return arrays


def _unpacked(file: IO[bytes], size: int, limit: int) -> bytearray:
    stream, content = zlib.decompressobj(), bytearray()
    while size:
        block = file.read(min(size, BLOCK))
        size -= len(block)
        content += stream.decompress(block, limit - len(content) + 1)
        if len(content) > limit:
            raise ValueError(f"it holds more than {limit:,} bytes")
    if not stream.eof:
        raise ValueError("an array ends early")
    return content


def _array(content: memoryview) -> dict[str, np.ndarray]:
    """The array of an element with its name, or nothing."""
    _, flags, content = _element(content)
    _, shape, content = _element(content)
    _, name, content = _element(content)
    (about,) = unpack_from("<I", flags)
    if about & 0xFF not in CLASSES or about & COMPLEX:
        return {}
    kind, values, _ = _element(content)
    if kind not in KINDS:
        raise ValueError("an array does not hold numbers")
    # Whole numbers may be stored in fewer bytes than the array's type has.
    numbers = np.frombuffer(values, f"<{KINDS[kind]}")
    numbers = numbers.astype(CLASSES[about & 0xFF], copy=False)
    array = numbers.reshape(np.frombuffer(shape, "<u4").tolist(), order="F")
    return {bytes(name).decode("ascii"): array}


def _element(content: memoryview) -> tuple[int, memoryview, memoryview]:
    """The kind and the content of the first element, and all that follows."""
    kind, size = unpack_from("<2I", content)
    start = 8
    if kind >> 16:  # a small element: its size and kind share four bytes
        kind, size, start = kind & 0xFFFF, kind >> 16, 4
    if size > len(content) - start or (start == 4 and size > 4):
        raise ValueError("an element ends early")
    return kind, content[start : start + size], content[-(-(start + size) // 8) * 8 :]
