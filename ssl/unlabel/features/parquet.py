"""Features of a dataset's three splits, in memory and as a Parquet file.

The file has the columns `id`, `split`, `label`, `factor_NAME` for each factor (null if an image has
none), `h` (the encoder's output) and, if the method has a projector, `z` (the projector's output).

A second file has the features of pairs of views of some validation images: `id`, `transform`, `h`,
`h_` and, with a projector, `z` and `z_`. Under the transform "all", both views are random, with all
transforms. Under any other, they are the image as it is and with that transform alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED, known
from unlabel.errors import UserError
from unlabel.features.split import ALL, SPLITS, Features, SomeZ, Split, Views
from unlabel.features.tables import damaged, read_tables, vectors, write_tables


def write(
    path: Path,
    parts: Iterable[tuple[str, Split]],
    classes: tuple[str, ...],
    factors: Mapping[str, tuple[str, ...]],
    labels: int | None = None,
    projected: Tensor | None = None,
) -> None:
    """Write parts (name of the split, some of its features) in bounded memory.

    Of training images, z is written for those with the ids `projected` (n,), in order; None: all.

    The splits come in the order of `SPLITS`. If the training images are not all there, `labels`
    says how many of all have a label. Equal features give equal bytes.
    """
    values = {name: list(each) for name, each in factors.items()}
    about = {"classes": list(classes), "factors": values, "labels": labels}
    write_tables(path, (_table(name, part, factors, projected) for name, part in parts), about)


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
    with damaged(path):
        return _whole(path, views)


def read_views(path: Path) -> dict[str, Views]:
    """What `write_views` wrote, by transform. Raises `UserError` if it is damaged."""
    pairs, about = read_tables(path, ("id", "transform", "h", "h_"))
    return {
        name: Views(*(_some(pairs.get(key), pairs["transform"] == place) for key in Views._fields))  # type: ignore[arg-type]
        for place, name in enumerate(about["transforms"])
    }


def _whole(path: Path, views: Path) -> Features:
    columns, about = read_tables(path, ("id", "split", "label", "h"), gaps=["z"])
    pairs = read_views(views)
    length = pairs[ALL].h.shape[1]
    if length != columns["h"].shape[1]:
        raise UserError(
            f"{views} has features of length {length}, but {path} of length "
            f"{columns['h'].shape[1]}; make both from one encoder"
        )
    if len(columns["id"].unique()) < len(columns["id"]):
        raise UserError(f"{path} has an image twice: ids must be unique; prepare the dataset again")
    factors = {name: tuple(values) for name, values in about.get("factors", {}).items()}
    columns["factor"] = torch.empty(len(columns["id"]), len(factors), dtype=torch.int64)
    for place, name in enumerate(factors):
        columns["factor"][:, place] = columns[f"factor_{name}"]
    count = _counts(columns["split"], path)
    z, rows = columns.pop("z", None), columns.get("z_rows")
    order = [columns.get(name) for name in Split._fields]
    everything = Split(*order)  # type: ignore[arg-type]
    splits = [
        everything.take(slice(end - number, end))
        for number, end in zip(count, accumulate(count), strict=True)
    ]
    some_z = None
    if z is not None:
        known = count[0] if rows is None else int((rows < count[0]).sum())
        parts = z.split([known, *count[1:]])  # raises where another split lacks some
        first = 0
        if rows is not None:
            some_z, first = SomeZ(rows[:known], parts[0]), 1
        splits[first:] = [s._replace(z=p) for s, p in zip(splits, parts, strict=True)][first:]
    train, validation, test = splits
    classes, labels = tuple(about["classes"]), about.get("labels")
    features = Features(train, validation, test, pairs, classes, factors, labels, some_z)
    _check_labels(features, path)
    return features


def _some(x: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if x is None else x[rows]


def _table(name: str, part: Split, factors: Iterable[str], projected: Tensor | None) -> pa.Table:
    columns = {
        "id": pa.array(part.id.cpu().numpy()),
        "split": _all(name, len(part.id), SPLITS),
        "label": known(part.label),
    }
    for factor, values in zip(factors, part.factor.unbind(1), strict=True):
        columns[f"factor_{factor}"] = known(values)
    gaps = {}
    if projected is not None and name == "train":
        place = torch.searchsorted(projected, part.id.cpu()).clamp(max=len(projected) - 1)
        gaps["z"] = projected[place] != part.id.cpu()
    return pa.table(columns | vectors(gaps, h=part.h, z=part.z))


def _pairs(name: str, part: Views, transforms: Sequence[str]) -> pa.Table:
    names = _all(name, len(part.id), transforms)
    columns = {"id": pa.array(part.id.cpu().numpy()), "transform": names}
    return pa.table(columns | vectors({}, h=part.h, h_=part.h_, z=part.z, z_=part.z_))


def _all(name: str, size: int, names: Sequence[str]) -> pa.Array:
    """A column with `name`, which is one of `names`, in each row."""
    codes = np.full(size, list(names).index(name), np.int8)
    return pa.DictionaryArray.from_arrays(codes, pa.array(names))


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
