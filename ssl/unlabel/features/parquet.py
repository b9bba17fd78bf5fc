"""Features of a dataset's three splits, in memory and as a Parquet file.

The file has the columns `id`, `split`, `label`, `factor_NAME` for each factor (null if an image has
none), `h` (the encoder's output) and, if the method has a projector, `z` (the projector's output).

A second file has the features of pairs of views of some validation images: `id`, `transform`, `h`,
`h_` and, with a projector, `z` and `z_`. Under the transform "all", both views are random, with all
transforms. Under any other, they are the image as it is and with that transform alone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED, known
from unlabel.errors import UserError, damage
from unlabel.files import whole
from unlabel.seeds import generator

SPLITS = ("train", "validation", "test")
ALL = "all"  # the name of the views that all transforms make together
GROUP = 1 << 26  # bytes of a row group, about what writing and reading need beside the data


class Split(NamedTuple):
    """Features of N images."""

    id: Tensor  # int64 (N,)
    label: Tensor  # int64 (N,), -1 if there is none
    factor: Tensor  # int64 (N, F), the columns that `Features.factors` names; -1 as above
    h: Tensor  # float32 (N, D), the encoder's output
    z: Tensor | None = None  # float32 (N, d), the projector's output, if there is a projector

    def take(self, index: Tensor | slice) -> "Split":
        """The features at `index` (n,), in that slice, or where that mask (N,) is true."""
        return Split(*(None if each is None else each[index] for each in self))  # type: ignore[arg-type]

    def labelled_rows(self) -> Tensor | None:
        """Which images have a label (n,); None: all."""
        known = self.label != UNLABELLED
        return None if known.all() else known.nonzero().flatten()

    def labelled(self) -> "Split":
        """The features of the images that have a label."""
        rows = self.labelled_rows()
        return self if rows is None else self.take(rows)

    def some(self, images: int, seed: int, purpose: str, rows: Tensor | None = None) -> "Split":
        """`images` of the images, or of these `rows`, chosen by seed and purpose.

        All of them if there are no more.
        """
        number = len(self.id) if rows is None else len(rows)
        if images >= number:
            return self if rows is None else self.take(rows)
        order = torch.randperm(number, generator=generator(seed, purpose))[:images]
        order = order.to(self.id.device)
        return self.take(order if rows is None else rows[order])

    def to(self, device: str) -> "Split":
        """The same on `device`."""
        return Split(*(None if each is None else each.to(device) for each in self))  # type: ignore[arg-type]


class Views(NamedTuple):
    """Features of two views of each of n images."""

    id: Tensor  # int64 (n,)
    h: Tensor  # float32 (n, D)
    h_: Tensor
    z: Tensor | None = None  # float32 (n, d), if there is a projector
    z_: Tensor | None = None

    def to(self, device: str) -> "Views":
        """The same on `device`."""
        return Views(*(None if each is None else each.to(device) for each in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Features:
    """An encoder's features of a dataset: all that a probe may measure."""

    train: Split
    validation: Split
    test: Split
    views: Mapping[str, Views]  # of validation images, by transform; "all" is all transforms
    classes: tuple[str, ...]
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> its values
    labels: int | None = None  # how many training images have one, if `train` has not all of them

    @property
    def labelled(self) -> bool:
        """Do all splits have labels? `read` makes sure that all do, or none."""
        return all((s.label != UNLABELLED).any() for s in (self.train, self.validation, self.test))

    def to(self, device: str) -> "Features":
        """The same on `device`."""
        train, validation, test = (s.to(device) for s in (self.train, self.validation, self.test))
        views = {name: each.to(device) for name, each in self.views.items()}
        return replace(self, train=train, validation=validation, test=test, views=views)


def write(
    path: Path,
    parts: Iterable[tuple[str, Split]],
    classes: tuple[str, ...],
    factors: Mapping[str, tuple[str, ...]],
    labels: int | None = None,
) -> None:
    """Write parts (name of the split, some of its features) in bounded memory.

    The splits come in the order of `SPLITS`. If the training images are not all there, `labels`
    says how many of all have a label. Equal features give equal bytes.
    """
    values = {name: list(each) for name, each in factors.items()}
    about = {"classes": list(classes), "factors": values, "labels": labels}
    write_tables(path, (_table(name, part, factors) for name, part in parts), about)


def write_views(path: Path, parts: Iterable[tuple[str, Views]], transforms: Sequence[str]) -> None:
    """Write parts (name of the transform, some pairs of views) in the order of `transforms`."""
    tables = (_pairs(name, part, transforms) for name, part in parts)
    write_tables(path, tables, {"transforms": list(transforms)})


def read(path: Path, views: Path) -> Features:
    """What `write` and `write_views` wrote.

    Raises `UserError` if a file is missing, damaged or of another format, or if its features cannot
    be measured: a split or its labels are missing, an id occurs twice, a number is not finite, or
    `train` lacks a class that another split has.
    """
    for each in (path, views):
        if not each.exists():
            raise UserError(f"{each} does not exist: extract the features first")
    with _damage(path):
        return _whole(path, views)


def _whole(path: Path, views: Path) -> Features:
    columns, about = _read(path, ("id", "split", "label", "h"))
    pairs, transforms = _read(views, ("id", "transform", "h", "h_"))
    if pairs["h"].shape[1] != columns["h"].shape[1]:
        raise UserError(
            f"{views} has features of length {pairs['h'].shape[1]}, but {path} of length "
            f"{columns['h'].shape[1]}; make both from one encoder"
        )
    if len(columns["id"].unique()) < len(columns["id"]):
        raise UserError(f"{path} has an image twice: ids must be unique; prepare the dataset again")
    factors = {name: tuple(values) for name, values in about.get("factors", {}).items()}
    columns["factor"] = torch.empty(len(columns["id"]), len(factors), dtype=torch.int64)
    for place, name in enumerate(factors):
        columns["factor"][:, place] = columns[f"factor_{name}"]
    order = [columns.get(name) for name in Split._fields]
    count = _counts(columns["split"], path)
    everything = Split(*order)  # type: ignore[arg-type]
    train, validation, test = (
        everything.take(slice(end - number, end))
        for number, end in zip(count, accumulate(count), strict=True)
    )
    views_ = {
        name: Views(*(_some(pairs.get(key), pairs["transform"] == place) for key in Views._fields))  # type: ignore[arg-type]
        for place, name in enumerate(transforms["transforms"])
    }
    classes, labels = tuple(about["classes"]), about.get("labels")
    features = Features(train, validation, test, views_, classes, factors, labels)
    _check_labels(features, path)
    return features


def _some(x: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if x is None else x[rows]


def write_tables(path: Path, tables: Iterator[pa.Table], about: Mapping[str, Any]) -> None:
    """Write tables of one schema, at least one, as one table, with `about` in its metadata.

    Uses bounded memory. Equal tables give equal bytes.
    """
    first = next(tables)
    schema = first.schema.with_metadata({"unlabel": json.dumps(about)})
    # Compression would save a tenth and take longer than the disk; nobody uses the statistics of
    # a column of vectors.
    names = ["split", "transform"]
    options = {"compression": "none", "use_dictionary": names, "write_statistics": False}
    options |= {"write_page_checksum": True}
    with whole(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        for group in _groups(chain([first], tables)):
            writer.write_table(group)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join the tables into few tables of about `GROUP` bytes.

    Until a table is full, its parts are held as bytes in one piece. Many small pieces would lie in
    the memory between an encoder's layers, where the next layers then do not fit. For images of 96
    pixels that took 20 kB an image.
    """
    rest = iter(tables)
    table = next(rest, None)
    while table is not None:
        held, size = pa.BufferOutputStream(), 0
        with pa.ipc.new_stream(held, table.schema) as stream:
            while table is not None and (not size or size + table.nbytes <= GROUP):
                stream.write_table(table)
                size, table = held.tell(), next(rest, None)
        yield pa.ipc.open_stream(held.getvalue()).read_all()


def _table(name: str, part: Split, factors: Iterable[str]) -> pa.Table:
    columns = {
        "id": pa.array(part.id.cpu().numpy()),
        "split": _all(name, len(part.id), SPLITS),
        "label": known(part.label),
    }
    for factor, values in zip(factors, part.factor.unbind(1), strict=True):
        columns[f"factor_{factor}"] = known(values)
    return pa.table(columns | vectors(h=part.h, z=part.z))


def _pairs(name: str, part: Views, transforms: Sequence[str]) -> pa.Table:
    names = _all(name, len(part.id), transforms)
    columns = {"id": pa.array(part.id.cpu().numpy()), "transform": names}
    return pa.table(columns | vectors(h=part.h, h_=part.h_, z=part.z, z_=part.z_))


def _all(name: str, size: int, names: Sequence[str]) -> pa.Array:
    """A column with `name`, which is one of `names`, in each row."""
    codes = np.full(size, list(names).index(name), np.int8)
    return pa.DictionaryArray.from_arrays(codes, pa.array(names))


def vectors(**columns: Tensor | None) -> dict[str, pa.Array]:
    """Each (B, D) as a column of fixed-size lists of float32; None gives no column."""
    return {name: _vector_column(x) for name, x in columns.items() if x is not None}


def _vector_column(x: Tensor) -> pa.Array:
    flat = pa.array(x.detach().float().cpu().numpy().reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, x.shape[1])


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Each column as one tensor, filled by row group; splits and transforms become numbers."""
    with _damage(path):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = json.loads(file.schema_arrow.metadata[b"unlabel"])
            if missing := set(names) - set(file.schema_arrow.names):
                raise KeyError(f"no column {min(missing)}")
            if ALL not in about.get("transforms", [ALL]):
                raise KeyError(f"no views of {ALL!r} transforms")
            groups = map(file.metadata.row_group, range(file.num_row_groups))
            if sum(group.num_rows for group in groups) != file.metadata.num_rows:
                raise ValueError("rows are missing")
            names_of = {"split": SPLITS, "transform": about.get("transforms")}
            columns: dict[str, Tensor] = {}
            start = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for name in table.column_names:
                    part = _tensor(table[name].combine_chunks(), names_of.get(name))
                    _check_finite(part, f"{name} in {path}")
                    if name not in columns:
                        shape = (file.metadata.num_rows, *part.shape[1:])
                        columns[name] = torch.empty(shape, dtype=part.dtype)
                    columns[name][start : start + len(part)] = part
                start += len(table)
        if not columns:
            raise ValueError("no rows")
        return columns, about


def _damage(path: Path) -> AbstractContextManager[None]:
    return damage(f"{path} is not a whole features file", "delete it and extract again")


def _tensor(column: pa.Array, names: Sequence[str] | None) -> Tensor:
    if pa.types.is_dictionary(column.type):
        column = pc.index_in(column.cast(pa.string()), pa.array(names))
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
    """The number of images in each split. Raises `UserError` if a split has none."""
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
        wrong = [kind for kind in kinds if not UNLABELLED <= kind < len(features.classes)]
        if wrong:
            raise UserError(
                f"{where} has the label {max(wrong)}, but the dataset names "
                f"{len(features.classes)} classes; name all of them when it is prepared"
            )
        if unknown := kinds - known:
            raise UserError(
                f"{where} has images of the class {features.classes[min(unknown)]!r}, but 'train' "
                "has none; split the dataset so that each class is in train"
            )
