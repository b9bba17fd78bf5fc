"""Images to run an encoder over: in a folder, in shards, in tables, or prepared.

Each has a name: its path if it is in a folder or in a shard, else its `id`, its path in the table,
or its row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unlabel.data import any_image, arrow_stream, packed, shards, tables
from unlabel.data.decode import Preprocessing, Unreadable, content
from unlabel.data.image_files import OTHER, Skipped, find, no_images, say
from unlabel.data.splits import read_splits
from unlabel.errors import UserError, printable, reason

BATCH = 256  # images in memory at a time
ID = "id"  # the column of names in a Parquet file, if there is one
ARCHIVES = (".zip", ".7z", ".rar", ".tgz", ".gz", ".bz2", ".xz", ".zst")  # not read in place
MEND_FILE = "give the folder it is in"
MEND = "Name the column of the images with --column"


class Part(NamedTuple):
    """Some of the images, in order."""

    names: pa.Array  # (B,), of one type in all parts
    image: Tensor  # uint8 (B, C, H, W)
    unreadable: list[str]  # the name of each image left out, and why


@dataclass(frozen=True)
class Source:
    """A number of images, read part by part."""

    key: str  # what their names are: "path" or "id"
    images: int
    parts: Iterator[Part]
    remarks: tuple[str, ...] = ()  # which files were left out


Wanted = Callable[[Any], bool]
Encoded = Path | Callable[[], bytes] | bytes | None  # an encoded image, its file, or what reads it
Named = tuple[Any, Encoded]  # with its name


def every(name: Any) -> bool:
    """Wants all images."""
    return True


def open_source(
    path: Path,
    how: Preprocessing,
    wanted: Wanted = every,
    column: str = "image",
    links: bool = False,
) -> Source:
    """The images of a folder, of shards, of a CSV, Parquet or Arrow file, or of a prepared one.

    Shards are a .tar file, a path with braces, or a folder that has shards and no images outside
    them. A folder may also be a Hugging Face dataset: Parquet files, or what `save_to_disk` wrote.
    A table has paths or encoded images in `column`. Encoded images are decoded as `how` says;
    prepared images have a shape of their own. Only images whose name is `wanted` are read; `links`
    is as in `find`. Raises `UserError` if there are no images, or a file is missing or damaged.
    """
    if path.suffix == arrow_stream.ENDING:
        if path.is_file() and arrow_stream.begins(path):
            return _packed(path, packed.in_tables(path, column), {}, how, wanted)
        return _prepared(path, wanted)
    if path.suffix.lower() in tables.PARQUET:
        return _parquet(path, how, wanted, column)
    if path.suffix.lower() in tables.SEPARATORS:
        return _csv(path, how, wanted, column)
    if path.suffix.lower() == shards.ENDING:
        return _packed(path, *packed.in_shards(path), how, wanted)
    if path.is_file():
        mend = "unpack it, and give its folder" if path.suffix.lower() in ARCHIVES else MEND_FILE
        raise UserError(f"{path} is not a folder, a table, a shard or an .arrow file; {mend}")
    found = find(path, links)
    if not found.paths:
        endings = {Path(name).suffix.lower() for name in found.skipped.get(OTHER, ())}
        if shards.ENDING in endings:
            return _packed(path, *packed.in_shards(path), how, wanted)
        if {*tables.PARQUET, ".arrow"} & endings:
            return _packed(path, packed.in_tables(path, column), {}, how, wanted)
        raise no_images(path, found.skipped)
    files = [(str(each), each) for each in found.paths if wanted(str(each))]
    parts = _decoded(_groups(files), how)
    return Source("path", len(files), parts, tuple(say(found.skipped)))


def _packed(
    path: Path, found: list[packed.Image], skipped: Skipped, how: Preprocessing, wanted: Wanted
) -> Source:
    if not found:
        raise no_images(path, skipped)
    files = [each for each in found if wanted(each[0])]
    return Source("path", len(files), _decoded(_groups(files), how), tuple(say(skipped)))


def _prepared(path: Path, wanted: Wanted) -> Source:
    (images,), _ = read_splits([path])
    rows = [row for row, id in enumerate(images.id.tolist()) if wanted(id)]
    kept = torch.tensor(rows, dtype=torch.int64)
    groups = (images.take(part) for part in kept.split(BATCH))
    parts = (Part(pa.array(part.id.numpy()), part.pixels, []) for part in groups)
    return Source("id", len(kept), parts)


def _csv(path: Path, how: Preprocessing, wanted: Wanted, column: str) -> Source:
    paths = tables.texts(tables.read(path, [column], MEND)[column])
    if not any(paths):
        raise UserError(f"{path} has no images")
    files = [each for each in packed.by_path(path.parent, paths) if wanted(each[0])]
    return Source("path", len(files), _decoded(_groups(files), how))


def _parquet(path: Path, how: Preprocessing, wanted: Wanted, column: str) -> Source:
    with tables.explained(path):
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
    tables.check_columns(path, [column], names, MEND)
    if not file.metadata.num_rows:
        raise UserError(f"{path} has no images")
    encoded = not tables.has_paths(path, column)
    kind = _ids(file, path) if ID in names else None
    rows = _rows(file, path, column, encoded, kind)
    groups = ([pair for pair in each if wanted(pair[0])] for each in rows)
    key = "id" if ID in names or encoded else "path"
    return Source(key, file.metadata.num_rows, _decoded(groups, how, kind))


def _ids(file: pq.ParquetFile, path: Path) -> pa.DataType | None:
    """The type of the ids of a Parquet file; None if a row has none, as its name is a text then."""
    with tables.explained(path):
        if any(rows[ID].null_count for rows in file.iter_batches(columns=[ID])):
            return None
        kind = file.schema_arrow.field(ID).type
        return kind.value_type if pa.types.is_dictionary(kind) else kind


def _rows(
    file: pq.ParquetFile, path: Path, column: str, encoded: bool, kind: pa.DataType | None
) -> Iterator[Iterable[Named]]:
    """The names and images of a Parquet file, part by part; names are ids of a `kind` or texts."""
    first, ids = 1, [ID] if ID in file.schema_arrow.names else []
    with tables.explained(path):
        for rows in file.iter_batches(BATCH, columns=[column, *ids]):
            found, _ = tables.images(pa.chunked_array([rows[column]]), path)
            images = found.to_pylist()
            files = images if encoded else [each and path.parent / each for each in images]
            if kind is not None:
                names = rows[ID].to_pylist()
            else:
                texts = images if not encoded else [None] * len(images)
                texts = tables.texts(rows[ID]) if ids else texts
                names = [text or f"row {row}" for row, text in enumerate(texts, first)]
            first += len(images)
            yield zip(names, files, strict=True)


def _groups(files: Sequence[Named]) -> Iterator[Sequence[Named]]:
    return (files[start : start + BATCH] for start in range(0, len(files), BATCH))


def _decoded(
    groups: Iterable[Sequence[Named]], how: Preprocessing, kind: pa.DataType | None = None
) -> Iterator[Part]:
    """Decode each group of images side by side. Their names are of a `kind`; None: texts."""
    with ThreadPoolExecutor() as pool:
        for group in groups:
            names = [name for name, _ in group]
            found = list(zip(names, pool.map(partial(_pixels, how), group), strict=True))
            right = [(name, each) for name, each in found if not isinstance(each, str)]
            stack = np.array([each for _, each in right], np.uint8).reshape(-1, *how.shape)
            wrong = [printable(f"{name}: {why}") for name, why in found if isinstance(why, str)]
            kept = pa.array([name for name, _ in right], kind or pa.string())
            yield Part(kept, torch.from_numpy(stack), wrong)


def _pixels(how: Preprocessing, image: Named) -> np.ndarray | str:
    """The pixels of an image, or why it cannot be read."""
    name, encoded = image
    try:
        str(name).encode()
        return any_image.decode(_content(encoded), *how)
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        return error.strerror or reason(error)
    except (Unreadable, ValueError) as error:  # a path with a null byte is a ValueError
        return str(error)


def _content(encoded: Encoded) -> bytes:
    if isinstance(encoded, Path):
        return content(encoded)
    return encoded() if callable(encoded) else encoded or b""
