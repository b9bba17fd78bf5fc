"""Files that are written whole or not at all."""

import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unlabel.errors import UserError

Guard = Callable[[Path], AbstractContextManager[None]]
guards: list[Guard] = []  # entered while a file gets its name; each may raise `UserError`


@contextmanager
def whole(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary name beside `path`. It becomes `path` if the block succeeds, else it is removed.

    The content reaches the disk before the name does, so a power cut leaves the old file or the
    new one. If not `durable`, it may leave half a file, which the reader must be able to detect.
    """
    check_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path.parent.absolute())
    # The name is this process's own. The suffix is last, as some writers choose a format by it.
    part = path.with_name(f".{path.stem}.{platform.node()}-{os.getpid()}.part{path.suffix}")
    try:
        yield part
        if durable:
            _sync(part)
        with ExitStack() as guarded:
            for guard in guards:
                guarded.enter_context(guard(path))
            part.replace(path)
        if durable:
            _sync(path.parent)
            _sync_above(path.parent.absolute())
    except OSError as error:  # the error of a full disk, for one, does not say where
        if error.filename in (None, str(part)):
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def check_file(path: Path) -> None:
    """Raise `UserError` if a file cannot be written to `path`, as a folder has that name."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file to write to")


def sha256(path: Path) -> str:
    """Of the content of a file of any size. Raises `OSError` if it cannot be read."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write `text` to `path`, whole or not at all; `durable` as in `whole`."""
    with whole(path, durable) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Write `value` as JSON with sorted keys: equal values give equal bytes. See `write_text`."""
    write_text(path, as_json(value), durable)


def as_json(value: Any) -> str:
    """`value` as JSON with sorted keys."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    """Write `rows` as Parquet. Without a schema, each name in any row becomes a column."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    table = pa.table(columns) if schema is None else pa.Table.from_pylist(rows, schema)
    with whole(path) as part:
        pq.write_table(table, part, write_page_checksum=True)


@cache
def _clear(folder: Path) -> None:
    """Remove the temporary files of killed processes, once per folder."""
    host = platform.node()
    left = re.compile(rf"\..*\.{re.escape(host)}-(\d+)\.part(\.[^.]*)?")
    for path in folder.iterdir():
        if (found := left.fullmatch(path.name)) and not _alive(int(found[1])):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _sync_above(folder: Path) -> None:
    """Sync the folders between the working folder and this one, once.

    Snakemake may just have made them, and does not sync them itself.
    """
    here = Path.cwd()
    for above in folder.parents:
        if above == here or here in above.parents:
            _sync(above)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


FROZEN = Path(".snakemake/unlabel")  # this package's own files


def read_json(path: Path, first: str) -> dict[str, Any]:
    """The JSON object in a file; `first` says what to do if there is no such file.

    Raises `UserError` if the file is missing, is damaged, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {first} first") from error
    except ValueError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); delete it and make it again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold a JSON object; delete it and make it again")
    return content
