"""Tables of images: CSV, Parquet and Arrow files, and folders of these."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from unlabel.data import arrow_stream, csv_dialect, hugging_face
from unlabel.data.csv_dialect import SEPARATORS, UTF8, Dialect
from unlabel.data.names import as_text
from unlabel.errors import UserError, did_you_mean, reason

PARQUET = (".parquet", ".pq")
MEND = "Name its columns, as in image=file label=species split=null (null: it has none)"


@dataclass(frozen=True)
class Table:
    """The wanted columns of a table, or of all files of a folder one after another."""

    columns: pa.Table
    files: list[tuple[Path, int]]  # and the number of rows in each
    remarks: list[str]  # how it was read, where that was not as usual
    class_names: dict[str, list[str]]  # of columns whose numbers stand for names

    def __len__(self) -> int:
        return sum(rows for _, rows in self.files)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.columns[name]

    def texts(self, name: str) -> list[str | None]:
        """A column as texts; numbers that stand for class names as those."""
        found = texts(self.columns[name])
        if name not in self.class_names:
            return found
        names = dict(enumerate(self.class_names[name]))
        known = {str(number): each for number, each in names.items()} | {"-1": None}
        return [known.get(each, each) if each else each for each in found]


def files_of(path: Path) -> list[Path]:
    """The files of a table: itself, or those of a folder, in order.

    A folder has Parquet files, or Arrow files that `save_to_disk` wrote. Raises `UserError` if it
    has none.
    """
    if not path.is_dir():
        return [path]
    files = hugging_face.saved(path)
    if not files:
        files = sorted(each for each in path.rglob("*") if each.suffix.lower() in PARQUET)
    if not files:
        raise UserError(
            f"{path} is a folder without Parquet files, and save_to_disk did not write it; name a "
            "table in it, or use dataset=folder if it has images"
        )
    return files


def name_in(place: Path, file: Path) -> str:
    """The name of a table's file: of one of several, below their folder."""
    return as_text(file.relative_to(place) if place.is_dir() else file.name)


def column_names(path: Path) -> list[str]:
    """The columns of a table. Raises `UserError` if it cannot be read."""
    file = files_of(path)[0]
    if _suffix(file) not in SEPARATORS:
        return list(schema(file).names)
    with explained(file):
        return csv_dialect.header(file, csv_dialect.usual(file))


def schema(file: Path) -> pa.Schema:
    """The types of the columns of a Parquet or Arrow file. Raises `UserError` if it is neither."""
    with explained(file):
        if arrow_stream.is_one(file):
            return arrow_stream.schema(file)
        with pq.ParquetFile(file) as parquet:
            return parquet.schema_arrow


def read(path: Path, columns: Sequence[str], mend: str = MEND) -> Table:
    """Some columns of a table. Those of a CSV file are texts, null where empty.

    Raises `UserError` if it cannot be read or lacks a column; `mend` says how to name columns.
    """
    wanted = list(dict.fromkeys(columns))
    parts = [_read(file, wanted, mend) for file in files_of(path)]
    for part in parts:
        if part.columns.schema != parts[0].columns.schema:
            raise UserError(
                f"the files below {path} have columns of different types: {part.files[0][0]} is "
                f"not like {parts[0].files[0][0]}"
            )
        if part.class_names != parts[0].class_names:
            raise UserError(
                f"the files below {path} give their classes different names: {part.files[0][0]} "
                f"is not like {parts[0].files[0][0]}; make them alike"
            )
    return Table(
        pa.concat_tables(part.columns for part in parts),
        [file for part in parts for file in part.files],
        [remark for part in parts for remark in part.remarks],
        parts[0].class_names,
    )


def texts(column: pa.ChunkedArray | pa.Array) -> list[str | None]:
    """Texts and numbers as texts: "3" for 3, and for 3.0, which pandas makes of it."""
    values = (
        pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
    )
    return [
        None if value is None or value != value else _text(value) for value in values.to_pylist()
    ]


def images(column: pa.ChunkedArray, path: Path) -> tuple[pa.ChunkedArray, bool]:
    """A column of paths or of encoded images, and whether it holds encoded images.

    Raises `UserError` if it holds neither.
    """
    kind = column.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:  # as Hugging Face does
        column = pc.struct_field(column, "bytes")
        kind = column.type
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        kind = kind.value_type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column, True
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column, False
    raise UserError(f"the images of {path} are {kind}, but must be paths or encoded images")


def has_paths(path: Path, column: str) -> bool:
    """Whether a column of a table has paths of images, and not their bytes; reads no rows.

    Raises `UserError` if there is no such column, or it has neither.
    """
    file = files_of(path)[0]
    if _suffix(file) in SEPARATORS:
        return True
    known = schema(file)
    check_columns(file, [column], known.names, MEND)
    return not images(pa.chunked_array([], known.field(column).type), path)[1]


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read(file: Path, columns: list[str], mend: str) -> Table:
    suffix = _suffix(file)
    with explained(file):
        if suffix not in SEPARATORS:
            about = schema(file)
            check_columns(file, columns, about.names, mend)
            table = _rows(file, columns)
            table.validate(full=True)  # or a damaged text would be found out later
            names = hugging_face.class_names(hugging_face.features(about, file))
            kept = {column: each for column, each in names.items() if column in columns}
            return Table(table.replace_schema_metadata(None), [(file, len(table))], [], kept)
        dialect = csv_dialect.find(file, columns)
        csv_dialect.check_lines(file, dialect)
        header = csv_dialect.header(file, dialect)
        check_columns(f"{file} (read with {dialect})", columns, header, mend)
    with explained(file, f", read with {dialect}"):
        table = _read_csv(file, columns, dialect)
    plain = dialect == Dialect(SEPARATORS[suffix], UTF8)
    return Table(table, [(file, len(table))], [] if plain else [f"read with {dialect}"], {})


def _rows(file: Path, columns: list[str]) -> pa.Table:
    if arrow_stream.is_one(file):
        return arrow_stream.mapped(file).select(columns)
    with pq.ParquetFile(file) as parquet:
        return parquet.read(columns=columns).select(columns)


def _read_csv(file: Path, columns: list[str], dialect: Dialect) -> pa.Table:
    # One thread, as only then Arrow says in which line it met an error.
    read = pa.csv.ReadOptions(use_threads=False, encoding=dialect.encoding)
    parse = pa.csv.ParseOptions(delimiter=dialect.separator)
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=columns,
        null_values=[""],
        strings_can_be_null=True,
    )
    return pa.csv.read_csv(file, read, parse, convert)


def _suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in (*SEPARATORS, *PARQUET, arrow_stream.ENDING):
        known = ", ".join([*SEPARATORS, *PARQUET, arrow_stream.ENDING])
        raise UserError(f"{file} is not a table; its name must end in one of {known}")
    return suffix


def check_columns(
    file: Path | str, columns: Iterable[str], known: Sequence[str], mend: str
) -> None:
    """Raise `UserError` if a file lacks a column, or has two of its name."""
    for name in columns:
        if name not in known:
            raise UserError(f"{file} has no column {name!r}; {did_you_mean(name, known)}. {mend}")
        if (times := known.count(name)) > 1:
            raise UserError(f"{file} has {times} columns {name!r}; give each a name of its own")


@contextmanager
def explained(file: Path, how: str = "") -> Iterator[None]:
    """Raise `UserError` for what libraries raise on a table that is missing or damaged."""
    try:
        yield
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.strerror:  # Arrow's own have none
            raise UserError(f"cannot read {file}: {error.strerror}") from error
        why = re.sub(r"CSV parse error: (Row #(\d+): )?", _line, reason(error))
        kind = file.suffix.lower()[1:]
        raise UserError(f"cannot read {file}{how}: it is not a whole {kind} file: {why}") from error


def _line(found: re.Match[str]) -> str:
    return f"line {found[2]}: " if found[2] else ""
