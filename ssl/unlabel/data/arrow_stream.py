"""Arrow files as Hugging Face's `datasets` writes them: streams, which are mapped into memory."""

from pathlib import Path

import pyarrow as pa

ENDING = ".arrow"
BEGIN = b"\xff\xff\xff\xff"  # of a stream
END = b"\xff\xff\xff\xff\0\0\0\0"
FILE = b"ARROW1"  # how Arrow's other format begins


def is_one(file: Path) -> bool:
    """Is this an Arrow file, by its name?"""
    return file.suffix.lower() == ENDING


def begins(file: Path) -> bool:
    """Is this a stream, by its first bytes? Prepared datasets are of Arrow's other format."""
    with file.open("rb") as start:
        return start.read(len(BEGIN)) == BEGIN


def schema(file: Path) -> pa.Schema:
    """The types of its columns. Raises `OSError` and `ArrowException` if it is not a stream."""
    with file.open("rb") as start:
        if start.read(len(FILE)) == FILE:
            raise pa.ArrowInvalid("it is of Arrow's file format, but save_to_disk writes streams")
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
        return stream.schema


def mapped(file: Path) -> pa.Table:
    """All its rows, of which only what is used is read. Raises as `schema`, and if it is cut."""
    source = pa.memory_map(str(file))
    table = pa.ipc.open_stream(source).read_all()
    source.seek(max(source.size() - len(END), 0))
    if source.read() != END:  # Arrow takes a cut between two batches for the end
        raise pa.ArrowInvalid("its end is missing")
    return table
