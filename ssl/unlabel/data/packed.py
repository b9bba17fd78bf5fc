"""Images that lie in other files: in shards, or in the tables of a folder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from unlabel.data import arrow_stream, hugging_face, shards, tables
from unlabel.data.encoded_column import EncodedColumn, Kept
from unlabel.data.image_files import OTHER, Skipped, is_image
from unlabel.data.names import as_text

# A name, and what reads the encoded image, or its file; None if there is none.
Image = tuple[str, Callable[[], bytes] | Path | None]


def in_shards(path: Path) -> tuple[list[Image], Skipped]:
    """The images of shards, called SHARD/FILE, and the names of what is none.

    Raises `UserError` if a shard is missing or damaged.
    """
    found = shards.find(str(path))
    images, skipped = list[Image](), Skipped(found.skipped)
    for shard in found.files:
        members, links = shards.index(shard)
        if links:
            names = [f"{found.name(shard)}/{name}" for name in links]
            skipped.setdefault(shards.NO_FILE, []).extend(names)
        for member in members:
            name = f"{found.name(shard)}/{member.name.removeprefix('./')}"
            if is_image(name):
                images.append((name, partial(shards.read, shard, member.offset, member.size)))
            else:
                skipped.setdefault(OTHER, []).append(as_text(name))
    return images, skipped


def in_tables(place: Path, column: str) -> list[Image]:
    """The images of a folder of Parquet files, or of what `save_to_disk` wrote, or of one file.

    They are in `column` if there is one, else in the one column of images. Their names are FILE row
    N, or their paths if the column has these. Raises `UserError` if there is none, or a file is
    damaged.
    """
    files = tables.files_of(place)
    schema = tables.schema(files[0])
    if column not in schema.names:
        known = hugging_face.features(schema, files[0])
        column = hugging_face.image_column(schema, known, place, "--column COLUMN")
    images, kept = list[Image](), Kept()
    for file in files:
        name = tables.name_in(place, file)
        if tables.has_paths(file, column):
            folder = place if place.is_dir() else place.parent
            paths = tables.texts(tables.read(file, [column])[column])
            images += by_path(folder, paths, f"{name} row")
            continue
        encoded = EncodedColumn(file, column, kept)
        images += [
            (f"{name} row {row + 1}", partial(encoded.read, row)) for row in range(_rows(file))
        ]
    return images


def by_path(folder: Path, paths: Sequence[str | None], row: str = "row") -> list[Image]:
    """Images by their paths below `folder`; a row without one is called by its number."""
    return [
        (path, folder / path) if path else (f"{row} {number}", None)
        for number, path in enumerate(paths, 1)
    ]


def _rows(file: Path) -> int:
    with tables.explained(file):
        if arrow_stream.is_one(file):
            return len(arrow_stream.mapped(file))
        with pq.ParquetFile(file) as parquet:
            return int(parquet.metadata.num_rows)
