"""A table of your own images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from unlabel.data.decode import Unreadable, content
from unlabel.dataset._collection import SPLIT, Collection, Example
from unlabel.errors import UserError, did_you_mean, reason

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, kw_only=True)
class Table(Collection):
    """A row an image: its path or its encoded bytes, and its label and split where there are any.

    Paths are from the table's folder on, and lead out of it only where `outside` allows it.
    """

    image: str = "image"
    label: str | None = "label"
    split: str | None = "split"
    id: str | None = None  # the column of names; else it is the path, or the row's number
    outside: bool = False

    def examples(self) -> list[Example]:
        """In the table's order. Raises `UserError` if a column, a split or an image is wrong."""
        place = self.place
        named = (self.image, self.label, self.split, self.id)
        table = read(place, [name for name in named if name is not None])
        if not len(table):
            raise UserError(f"{place} has no rows, so no images")
        images, encoded = _images(table[self.image], place)
        size = len(images)
        splits = self._splits(table, place) if self.split else [""] * size
        labels = texts(table[self.label]) if self.label else [None] * size
        names = self._names(table, images, encoded)
        _check_unique(names, place)
        reads: Iterable[Callable[[], bytes]]
        if encoded:
            reads = (partial(_bytes, image) for image in images)
        else:
            reads = (partial(self._read, place.parent, image.as_py()) for image in images)
        return [Example(*each) for each in zip(names, splits, labels, reads, strict=True)]

    def labels(self) -> Iterable[str | None]:
        return texts(read(self.place, [self.label])[self.label]) if self.label else [None]

    def _names(self, table: pa.Table, images: pa.Array, encoded: bool) -> list[str]:
        rows = [f"row {number}" for number in range(1, len(images) + 1)]
        if encoded and self.id is None:
            return rows
        names = texts(table[self.id] if self.id else images)
        return [name or row for name, row in zip(names, rows, strict=True)]

    def _splits(self, table: pa.Table, place: Path) -> list[str]:
        said = texts(table[self.split])
        for number, name in enumerate(said, 1):
            if (name or "").lower() not in SPLIT:
                raise UserError(
                    f"row {number} of {place} has {name or 'nothing'!r} in the column "
                    f"{self.split!r}, which is no split; write train, validation or test"
                )
        return [SPLIT[name.lower()] for name in said if name]

    def _read(self, folder: Path, path: str | None) -> bytes:
        if not path:
            raise Unreadable("there is no path")
        if "\0" in path:
            raise Unreadable("its path has a null byte")
        file = folder / path
        if not self.outside and not file.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{path} leads out of {folder}, the folder of its table; put the images there, "
                "or set dataset.outside to true if you trust the table"
            )
        return content(file)


def read(path: Path, columns: list[str]) -> pa.Table:
    """Some columns of a CSV or Parquet file; those of a CSV file are texts, null where empty.

    Raises `UserError` if it is neither, or has no such column.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in PARQUET:
            with pq.ParquetFile(path) as file:
                _check_columns(path, columns, file.schema_arrow.names)
                table = file.read(columns=list(dict.fromkeys(columns)))
                table.validate(full=True)  # or else a text that is none is found out later
                return table
        if suffix in SEPARATORS:
            return _read_csv(path, columns, SEPARATORS[suffix])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or reason(error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8; save it as UTF-8, start again") from error
    except pa.ArrowException as error:
        raise UserError(f"{path} is not a whole {suffix[1:]} file: {reason(error)}") from error
    known = ", ".join([*SEPARATORS, *PARQUET])
    raise UserError(f"{path} is no table that can be read; its name must end in one of {known}")


def _read_csv(path: Path, columns: list[str], separator: str) -> pa.Table:
    parse = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    with pa.csv.open_csv(path, parse_options=parse) as reader:
        _check_columns(path, columns, reader.schema.names)
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=list(dict.fromkeys(columns)),
        null_values=[""],
        strings_can_be_null=True,
    )
    return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)


def texts(column: pa.ChunkedArray | pa.Array) -> list[str | None]:
    """Texts and numbers as texts: 3 for the numbers 3 and 3.0, which pandas makes of it."""
    values = (
        pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
    )
    return [
        None if value is None or value != value else _text(value) for value in values.to_pylist()
    ]


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_columns(path: Path, columns: list[str], known: list[str]) -> None:
    for name in columns:
        if name not in known:
            raise UserError(
                f"{path} has no column {name!r}; {did_you_mean(name, known)}. Name its columns "
                "with dataset.image, dataset.label and dataset.split, null where there is none"
            )


def _images(column: pa.ChunkedArray, place: Path) -> tuple[pa.ChunkedArray, bool]:
    """The column of paths or of encoded images, and whether it is the latter."""
    kind = column.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:  # as Hugging Face has them
        column = pc.struct_field(column, "bytes")
        kind = column.type
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        kind = kind.value_type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column, True
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column, False
    raise UserError(f"the images of {place} are {kind}, but must be paths or encoded images")


def _bytes(image: pa.Scalar) -> bytes:
    if not image.is_valid:
        raise Unreadable("there is no image")
    return image.as_py()


def _check_unique(names: list[str], place: Path) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if first.setdefault(name, number) != number:
            raise UserError(
                f"the rows {first[name]} and {number} of {place} both are {name!r}; "
                "remove one, or name a column of unique names in dataset.id"
            )
