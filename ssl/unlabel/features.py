"""Features of a dataset's three splits, in memory and as a Parquet file.

The file has the columns `id`, `split`, `label` (null where unlabelled), `h` (the encoder's output)
and, where the method has a projector, `z` (the projector's). A second file has `id`, `h` and `h_`:
the features of two random views of some validation images.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unlabel.errors import UserError
from unlabel.files import whole
from unlabel.images import UNLABELLED

SPLITS = ("train", "validation", "test")
GROUP = 1 << 26  # bytes of a row group, and so about what writing and reading need beside the data


class Split(NamedTuple):
    """Features of N images."""

    id: Tensor  # int64 (N,)
    label: Tensor  # int64 (N,), -1 where there is none
    h: Tensor  # float32 (N, D), the encoder's output
    z: Tensor | None = None  # float32 (N, d), the projector's output, where there is a projector

    def take(self, index: Tensor | slice) -> "Split":
        """The features at `index` (n,), in that slice, or where that mask (N,) is true."""
        return Split(*(None if each is None else each[index] for each in self))  # type: ignore[arg-type]

    def labelled(self) -> "Split":
        """The features of the images that have a label."""
        known = self.label != UNLABELLED
        return self if known.all() else self.take(known)

    def to(self, device: str) -> "Split":
        """The same on `device`."""
        return Split(*(None if each is None else each.to(device) for each in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Features:
    """What an encoder makes of a dataset: all that a probe may measure."""

    train: Split
    validation: Split
    test: Split
    views: tuple[Tensor, Tensor]  # h of two views of n validation images, (n, D) each
    classes: tuple[str, ...]

    @property
    def labelled(self) -> bool:
        """Have all splits labels? `read` sees to it that all have, or none."""
        return all((s.label != UNLABELLED).any() for s in (self.train, self.validation, self.test))

    def to(self, device: str) -> "Features":
        """The same on `device`."""
        train, validation, test = (s.to(device) for s in (self.train, self.validation, self.test))
        views = (self.views[0].to(device), self.views[1].to(device))
        return Features(train, validation, test, views, self.classes)


def write(path: Path, parts: Iterable[tuple[str, Split]], classes: tuple[str, ...]) -> None:
    """Write (name of the split, some of its features) one after another, in bounded memory.

    The splits come in the order of `SPLITS`. Equal features give equal bytes.
    """
    _write(path, (_table(name, part) for name, part in parts), {"classes": list(classes)})


def write_views(path: Path, parts: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Write ids (n,) and the features of two views of these images, (n, D) each."""
    columns = ({"id": _numbers(i), "h": _vectors(h), "h_": _vectors(h_)} for i, h, h_ in parts)
    _write(path, map(pa.table, columns), {})


def read(path: Path, views: Path) -> Features:
    """What `write` and `write_views` wrote.

    Raises `UserError` if a file is missing, damaged or of another format, and if its features
    cannot be measured: a split or its labels are missing, an id is there twice, a number is not
    finite, or a class is to be recognised that `train` has no image of.
    """
    columns, about = _read(path, ("id", "split", "label", "h"))
    pairs = _read(views, ("id", "h", "h_"))[0]
    if pairs["h"].shape[1] != columns["h"].shape[1]:
        raise UserError(
            f"{views} has features of length {pairs['h'].shape[1]}, but {path} of length "
            f"{columns['h'].shape[1]}; make both from one encoder"
        )
    if len(columns["id"].unique()) < len(columns["id"]):
        raise UserError(f"{path} has an image twice: ids must be unique; prepare the dataset again")
    order = [columns.get(name) for name in Split._fields]
    count = _counts(columns["split"], path)
    everything = Split(*order)  # type: ignore[arg-type]
    train, validation, test = (
        everything.take(slice(end - number, end))
        for number, end in zip(count, accumulate(count), strict=True)
    )
    views_ = (pairs["h"], pairs["h_"])
    features = Features(train, validation, test, views_, tuple(about["classes"]))
    _check_labels(features, path)
    return features


def _write(path: Path, tables: Iterator[pa.Table], about: dict[str, list[str]]) -> None:
    first = next(tables)
    schema = first.schema.with_metadata({"unlabel": json.dumps(about)})
    # Compression saves a tenth of random mantissas and costs more than the disk; a column's
    # smallest vector is no use to anyone.
    options = {"compression": "none", "use_dictionary": ["split"], "write_statistics": False}
    with whole(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        held = [first]
        for table in tables:
            if sum(t.nbytes for t in held) + table.nbytes > GROUP:
                writer.write_table(pa.concat_tables(held))
                held = []
            held.append(table)
        writer.write_table(pa.concat_tables(held))


def _table(name: str, part: Split) -> pa.Table:
    codes = np.full(len(part.id), SPLITS.index(name), np.int8)
    columns = {
        "id": _numbers(part.id),
        "split": pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS)),
        "label": _numbers(part.label, part.label == UNLABELLED),
        "h": _vectors(part.h),
    }
    if part.z is not None:
        columns["z"] = _vectors(part.z)
    return pa.table(columns)


def _numbers(x: Tensor, null: Tensor | None = None) -> pa.Array:
    return pa.array(x.cpu().numpy(), mask=None if null is None else null.cpu().numpy())


def _vectors(x: Tensor) -> pa.Array:
    flat = pa.array(x.detach().float().cpu().numpy().reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, x.shape[1])


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Each column as one tensor, filled row group by row group; splits as numbers."""
    try:
        with pq.ParquetFile(path) as file:
            about = json.loads(file.schema_arrow.metadata[b"unlabel"])
            if missing := set(names) - set(file.schema_arrow.names):
                raise KeyError(f"no column {min(missing)}")
            columns: dict[str, Tensor] = {}
            start = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for name in table.column_names:
                    part = _tensor(table[name].combine_chunks())
                    _check_finite(part, f"{name} in {path}")
                    if name not in columns:
                        shape = (file.metadata.num_rows, *part.shape[1:])
                        columns[name] = torch.empty(shape, dtype=part.dtype)
                    columns[name][start : start + len(part)] = part
                start += len(table)
        if not columns:
            raise ValueError("no rows")
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: extract the features first") from error
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        problem = str(error).splitlines()[0]
        raise UserError(
            f"{path} is not a whole features file ({problem}); delete it and extract again"
        ) from error
    return columns, about


def _tensor(column: pa.Array) -> Tensor:
    if pa.types.is_dictionary(column.type):
        column = pc.index_in(column.cast(pa.string()), pa.array(SPLITS))
    if pa.types.is_fixed_size_list(column.type):
        if not column.type.list_size:
            raise ValueError("features of length 0")
        return torch.tensor(column.flatten().to_numpy()).view(-1, column.type.list_size)
    return torch.tensor(column.fill_null(UNLABELLED).to_numpy())


def _check_finite(part: Tensor, where: str) -> None:
    if not part.isfinite().all():
        raise UserError(
            f"the features {where} are not all finite: the encoder diverged; "
            "train it with a lower optimizer.lr"
        )


def _counts(split: Tensor, path: Path) -> list[int]:
    """How many images each split has. Raises `UserError` where one has none."""
    count = torch.bincount(split + 1, minlength=4).tolist()
    if 0 in count[1:]:
        name = SPLITS[count[1:].index(0)]
        raise UserError(f"{path} has no image of the split {name!r}; extract all three splits")
    if count[0] or (split.diff() < 0).any():
        raise UserError(f"{path} does not have its splits in order; delete it and extract again")
    return count[1:]


def _check_labels(features: Features, path: Path) -> None:
    parts = dict(zip(SPLITS, (features.train, features.validation, features.test), strict=True))
    labelled = [name for name, part in parts.items() if (part.label != UNLABELLED).any()]
    if lacking := [name for name in SPLITS if name not in labelled and labelled]:
        raise UserError(
            f"{path} has labels in {labelled[0]!r}, but none in {lacking[0]!r}; "
            "label some images of each split or none"
        )
    known = {UNLABELLED, *features.train.label.unique().tolist()}
    for name, part in parts.items():
        where, kinds = f"{name!r} in {path}", set(part.label.unique().tolist())
        if max(kinds) >= len(features.classes):
            raise UserError(
                f"{where} has the label {max(kinds)}, but the dataset names "
                f"{len(features.classes)} classes; name all of them when it is prepared"
            )
        if unknown := kinds - known:
            raise UserError(
                f"{where} has images of the class {features.classes[min(unknown)]!r}, but 'train' "
                "has none; split the dataset so that each class is in train"
            )
