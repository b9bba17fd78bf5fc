"""How a CSV file is written: its separator and its encoding."""

import csv
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from unlabel.errors import UserError

SEPARATORS = {".csv": ",", ".tsv": "\t"}  # by the ending of the name
OTHERS = (",", ";", "\t", "|")  # to try if the usual one does not find the columns
NAMED = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
UTF8, UTF16, WESTERN = "UTF-8", "UTF-16", "Windows-1252"  # the last has all of Latin-1's letters
BLOCK = 1 << 20  # bytes
csv.field_size_limit(sys.maxsize)  # without a closing quotation mark, a value may be a whole file


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    separator: str
    encoding: str

    def __str__(self) -> str:
        return f"{NAMED[self.separator]}s between the columns, in {self.encoding}"


def usual(file: Path) -> Dialect:
    """The dialect that the name of a file promises, in the encoding that its content has."""
    return Dialect(SEPARATORS[file.suffix.lower()], _encoding(file))


def find(file: Path, columns: Iterable[str]) -> Dialect:
    """The dialect with the first separator that finds all columns, else the usual one."""
    first = usual(file)
    for separator in (first.separator, *OTHERS):
        dialect = Dialect(separator, first.encoding)
        if set(columns) <= set(header(file, dialect)):
            return dialect
    return first


def header(file: Path, dialect: Dialect) -> list[str]:
    """The names of the columns."""
    with _lines(file, dialect) as lines:
        return next(csv.reader(lines, delimiter=dialect.separator), [])


def check_lines(file: Path, dialect: Dialect) -> None:
    """Raise `UserError` if a value has a line break.

    After a quotation mark that is not closed, all lines until the next one would be one value, and
    their images would be lost without a word.
    """
    with _lines(file, dialect) as lines:
        rows = csv.reader(lines, delimiter=dialect.separator)
        for number, row in enumerate(rows, 1):
            # Only in the last line of the file can a value with a line break end in its own line.
            if rows.line_num > number or (row and row[-1].endswith(("\n", "\r"))):
                raise UserError(
                    f"a value in line {number} of {file} (read with {dialect}) does not end in "
                    "that line, as if a quotation mark were not closed; close it, or keep values "
                    "with line breaks in a Parquet file"
                )


def _lines(file: Path, dialect: Dialect) -> TextIO:
    """The opened file, with its line breaks as they are."""
    encoding = "utf-8-sig" if dialect.encoding == UTF8 else dialect.encoding
    return file.open(encoding=encoding, newline="")


def _encoding(file: Path) -> str:
    """UTF-8 if that fits, UTF-16 if the file says so, else Windows-1252."""
    decoder = getincrementaldecoder("utf-8")()
    with file.open("rb") as stream:
        if stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE):
            return UTF16
        stream.seek(0)
        try:
            while block := stream.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return WESTERN
    return UTF8
