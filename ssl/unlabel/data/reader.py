"""Images to look at, wherever they lie: in a folder, in a table of encoded ones, or prepared.

Each has a name: in a folder its path, as it can be typed; in a file its `id`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unlabel.data import decode
from unlabel.data.decode import Shape, Unreadable
from unlabel.data.splits import read_splits
from unlabel.errors import UserError, printable, reason

BATCH = 256  # images in memory at a time


class Part(NamedTuple):
    """Some of the images, in order."""

    names: list[Any]
    image: Tensor  # uint8 (B, C, H, W)
    unreadable: list[str]  # the name of each image left out, and why


@dataclass(frozen=True)
class Source:
    """So many images, of which each part is read when its turn comes."""

    key: str  # what their names are: "path" or "id"
    images: int
    parts: Iterator[Part]


Wanted = Callable[[Any], bool]


def read(path: Path, shape: Shape, fit: str, wanted: Wanted = lambda name: True) -> Source:
    """The images of a folder, of a Parquet file with `id` and `image`, or of a prepared Arrow file.

    Encoded ones are decoded as `shape` (C, H, W), and `fit` as `decode` says; prepared ones have a
    shape of their own. Only those whose name is `wanted` are read. Raises `UserError` if there are
    no images, or a file is missing or damaged.
    """
    if path.suffix == ".arrow":
        return _prepared(path, wanted)
    if path.suffix == ".parquet":
        return _table(path, shape, fit, wanted)
    if path.is_file():
        raise UserError(f"{path} is no folder, .arrow or .parquet file; give the folder it is in")
    files = [(str(each), each) for each in decode.find(path)]
    if not files:
        endings = ", ".join(sorted(decode.EXTENSIONS))
        raise UserError(f"{path} has no images; their names must end in {endings}")
    files = [each for each in files if wanted(each[0])]
    groups = (files[start : start + BATCH] for start in range(0, len(files), BATCH))
    return Source("path", len(files), _decoded(groups, shape, fit))


def _prepared(path: Path, wanted: Wanted) -> Source:
    (images,), _ = read_splits([path])
    rows = [row for row, id in enumerate(images.id.tolist()) if wanted(id)]
    kept = torch.tensor(rows, dtype=torch.int64)
    groups = (images.take(part) for part in kept.split(BATCH))
    return Source("id", len(kept), (Part(part.id.tolist(), part.pixels, []) for part in groups))


def _table(path: Path, shape: Shape, fit: str, wanted: Wanted) -> Source:
    try:
        file = pq.ParquetFile(path)
        names = set(file.schema_arrow.names)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {reason(error)}") from error
    if missing := {"id", "image"} - names:
        raise UserError(f"{path} has no column {min(missing)!r}; it needs `id` and `image`")
    kind = file.schema_arrow.field("image").type
    if kind not in (pa.binary(), pa.large_binary()):
        raise UserError(f"the column 'image' of {path} holds {kind}, not the bytes of files")
    if not file.metadata.num_rows:
        raise UserError(f"{path} has no images")
    groups = ([pair for pair in each if wanted(pair[0])] for each in _pairs(file, path))
    return Source("id", file.metadata.num_rows, _decoded(groups, shape, fit))


def _pairs(file: pq.ParquetFile, path: Path) -> Iterator[Iterable[tuple[Any, bytes | None]]]:
    try:
        for rows in file.iter_batches(BATCH, columns=["id", "image"]):
            yield zip(rows["id"].to_pylist(), rows["image"].to_pylist(), strict=True)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {reason(error)}") from error


def _decoded(
    groups: Iterable[Sequence[tuple[Any, Path | bytes | None]]], shape: Shape, fit: str
) -> Iterator[Part]:
    """Names with encoded images, or the files that have them -> parts, decoded side by side."""

    def pixels(image: tuple[Any, Path | bytes | None]) -> np.ndarray | str:
        name, encoded = image
        try:
            str(name).encode()
            found = decode.content(encoded) if isinstance(encoded, Path) else encoded or b""
            return decode.decode(found, shape, fit)
        except UnicodeEncodeError:
            return "its name is not UTF-8"
        except OSError as error:
            return error.strerror or str(error)
        except Unreadable as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        for group in groups:
            names = [name for name, _ in group]
            found = list(zip(names, pool.map(pixels, group), strict=True))
            right = [(name, each) for name, each in found if not isinstance(each, str)]
            stack = np.array([each for _, each in right], np.uint8).reshape(-1, *shape)
            wrong = [
                f"{printable(str(name))}: {why}" for name, why in found if isinstance(why, str)
            ]
            yield Part([name for name, _ in right], torch.from_numpy(stack), wrong)
