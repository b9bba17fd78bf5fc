"""Features of any images in a Parquet file, and the nearest neighbours among them.

The column `path` or `id` names each image. `h` is the encoder's output and, if the method has a
projector, `z` the projector's, as fixed-size lists of float32. The metadata say which encoder made
the features, and from which images.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.errors import UserError, damage
from unlabel.features.tables import vectors, write_tables
from unlabel.nn.nearest import Bank, most_similar


class Neighbour(NamedTuple):
    """An image, and the cosine similarity of its features with those of the query."""

    name: Any  # its path, a text, or its id
    similarity: float


def write(
    path: Path,
    key: str,
    parts: Iterable[tuple[pa.Array, Tensor, Tensor | None]],
    about: dict[str, Any],
) -> None:
    """Write parts of names, h (B, D) and z (B, d), at least one, in bounded memory.

    `key` is the kind of name: "path" or "id".
    """
    write_tables(path, (pa.table({key: n} | vectors({}, h=h, z=z)) for n, h, z in parts), about)


def read_about(path: Path) -> dict[str, Any]:
    """The `about` of a file. Raises `UserError` if the file is damaged or of another kind."""
    with _open(path) as file:
        told = (file.schema_arrow.metadata or {}).get(b"unlabel", b"{}")
        about: dict[str, Any] = json.loads(told)
        if "encoder_sha256" not in about:
            raise ValueError("it does not name an encoder")
        return about


def find(path: Path, query: Tensor, number: int) -> list[list[Neighbour]]:
    """For each query (Q, D), the images with the most similar h, the nearest first.

    Reads a part of the file at a time. Raises `UserError` if the file is missing or damaged, or its
    features have another length.
    """
    with _open(path) as file:
        values, rows = most_similar(query, _banks(path, file, query.shape[1]), number, len(query))
        key = file.schema_arrow.names[0]
        names = file.read([key])[key].take(rows.flatten().numpy()).to_pylist()
    each = [Neighbour(*pair) for pair in zip(names, values.flatten().tolist(), strict=True)]
    width = values.shape[1]
    return [each[at : at + width] for at in range(0, len(each), width)]


def _banks(path: Path, file: pq.ParquetFile, length: int) -> Iterator[Bank]:
    """The column `h`, one row group after another, as unit vectors."""
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, ["h"])["h"].combine_chunks()
        h = torch.tensor(column.flatten().to_numpy()).view(len(column), -1)
        if h.shape[1] != length:
            raise UserError(
                f"{path} has features of length {h.shape[1]}, but the encoder makes them "
                f"{length} long; embed the images with this encoder"
            )
        yield F.normalize(h, dim=1), None


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with damage(f"{path} is not a whole file of `unlabel embed`", "embed the images again"):
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                yield file
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: embed some images first") from error
