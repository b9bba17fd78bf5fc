"""Images that lie in other files: in shards, or in the tables of a folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from unlabel.data import arrow_stream, hugging_face, shards, tables
from unlabel.data.encoded_column import EncodedColumn, Kept
from unlabel.data.image_files import OTHER, Skipped, is_image
from unlabel.data.names import as_text

Image = tuple[str, Callable[[], bytes]]  # a name, and what reads the encoded image


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


def in_tables(folder: Path, column: str) -> list[Image]:
    """The images of Parquet files, or of what `save_to_disk` wrote, called FILE row N.

    They are in `column` if there is one, else in the one column of images. Raises `UserError` if
    there is none, or a file is damaged.
    """
    files = tables.files_of(folder)
    schema = tables.schema(files[0])
    if column not in schema.names:
        known = hugging_face.features(schema, files[0])
        column = hugging_face.image_column(schema, known, folder, "--column COLUMN")
    images, kept = list[Image](), Kept()
    for file in files:
        encoded, name = EncodedColumn(file, column, kept), tables.name_in(folder, file)
        images += [
            (f"{name} row {row + 1}", partial(encoded.read, row)) for row in range(_rows(file))
        ]
    return images


def _rows(file: Path) -> int:
    with tables.explained(file):
        if arrow_stream.is_one(file):
            return len(arrow_stream.mapped(file))
        with pq.ParquetFile(file) as parquet:
            return int(parquet.metadata.num_rows)
