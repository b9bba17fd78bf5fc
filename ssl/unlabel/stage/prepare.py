"""Turn a dataset into three Arrow files."""

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from unlabel import files
from unlabel.data import images
from unlabel.data.compressed import CompressedImages, Format, encode, spool
from unlabel.data.images import UNLABELLED, Data, Images
from unlabel.dataset import Dataset, Raw, hold_out, moments
from unlabel.errors import UserError
from unlabel.params.settings import build, load

SPLITS = ("train", "validation", "test")


def run(
    params: Path, raw: Path, train: Path, validation: Path, test: Path, report: Path | None = None
) -> None:
    """Load the dataset of `params` and write its three splits; its raw files are in `raw`.

    `params` has the settings `name` and `dataset`, the recipe. `report`, a JSON file, gets the
    number of images of each class in each split, and what was left out. Raises `UserError` for
    wrong settings, and for raw files that are damaged or cannot be fetched.
    """
    settings = load(params)
    for key, kind in (("name", str), ("dataset", dict)):
        if not isinstance(settings.get(key), kind):
            raise UserError(f"{params} needs the settings `name` (a text) and `dataset` (a recipe)")
    dataset = build(settings["dataset"], "dataset")
    if not isinstance(dataset, Dataset):
        raise UserError(f"dataset._target_ is {settings['dataset']['_target_']}, not a dataset")
    loaded, name = dataset.load(raw), settings["name"]
    _check(loaded, name)
    kept, held_out = loaded.train, loaded.validation
    if held_out is None:
        kept, held_out = hold_out(loaded.train, dataset.validation, dataset.seed, "validation")
    splits = dict(zip(SPLITS, (kept, held_out, loaded.test), strict=True))
    _check_labels(splits, loaded.classes, name)
    if dataset.encoded is not None:
        splits = {key: _encoded(split, dataset.encoded, raw) for key, split in splits.items()}
    mean, std = moments(splits["train"].image)
    channels, height, width = kept.image.shape[1:]
    shape = (channels, height, width)
    for path, split in zip((train, validation, test), splits.values(), strict=True):
        about = (name, shape, mean, std, loaded.classes, len(split.id))
        data = Data(*about, loaded.source, loaded.sha256, loaded.factors)
        images.write(path, split, data)
    found = _described(splits, loaded)
    if report is not None:
        place = {key: settings.get(key) for key in ("path", "content")}  # as the plan found them
        files.write_json(report, found | place)
    sizes = ", ".join(f"{len(split.id)} {key}" for key, split in splits.items())
    print("; ".join([f"{name}: {sizes}", *found["summary"]]), file=sys.stderr)


def _described(splits: dict[str, Images], raw: Raw) -> dict[str, Any]:
    """What a person should know about a dataset before training on it."""
    counts = {}
    for name, split in splits.items():
        known = split.label[split.label != UNLABELLED]
        number = known.bincount(minlength=len(raw.classes)).tolist()
        classes = dict(zip(raw.classes, number, strict=True)) if len(known) else {}
        unlabelled = len(split.id) - len(known)
        counts[name] = {"images": len(split.id), "unlabelled": unlabelled, "classes": classes}
    labelled = any(count["classes"] for count in counts.values())
    return {"summary": [], **raw.notes, "labelled": labelled, "splits": counts}


def _encoded(images: Images, format: Format, folder: Path) -> Images:
    """Compress the images to `format`. They stay in `folder` as long as this process runs."""
    if isinstance(images.image, CompressedImages):  # the dataset has done it
        return images
    store = spool((encode(pixels, format) for pixels in images.image.numpy()), folder)
    channels, height, width = images.image.shape[1:]
    shape = (channels, height, width)
    return images._replace(image=CompressedImages(store, images.id, shape, "the dataset"))


def _check(raw: Raw, name: str) -> None:
    """Raise `UserError` for data that later stages could not use."""
    splits = {"train": raw.train, "test": raw.test}
    if raw.validation is not None:
        splits["validation"] = raw.validation
    for split, each in splits.items():
        if not len(each.id):
            raise UserError(f"{name} has no images in {split}")
        if not UNLABELLED <= each.label.min() <= each.label.max() < len(raw.classes):
            raise UserError(f"{name} has labels in {split} that stand for none of its classes")
        if each.factor.shape != (len(each.id), len(raw.factors)):
            raise UserError(f"{name} has other factors in {split} than it names")
        for place, (factor, values) in enumerate(raw.factors.items()):
            column = each.factor[:, place]
            if not UNLABELLED <= column.min() <= column.max() < len(values):
                raise UserError(f"{name} has values of {factor} in {split} that have no name")
    for (first, one), (second, other) in combinations(splits.items(), 2):
        if one.image.shape[1:] != other.image.shape[1:]:
            raise UserError(f"{name} has images of different shapes in {first} and {second}")
    ids = torch.cat([each.id for each in splits.values()])
    if len(ids.unique()) < len(ids):
        raise UserError(f"{name} has several images with the same id")


def _check_labels(splits: dict[str, Images], classes: tuple[str, ...], name: str) -> None:
    """Raise `UserError` for labels that cannot be learned or cannot be tested."""
    kinds = {split: set(each.label.unique().tolist()) for split, each in splits.items()}
    has = {split: bool(found - {UNLABELLED}) for split, found in kinds.items()}
    if lacking := [split for split in SPLITS if not has[split] and any(has.values())]:
        other = next(split for split in SPLITS if has[split])
        raise UserError(
            f"{name} has labels in {other}, but none in {lacking[0]}; "
            "label some images of each split, or none"
        )
    for split, found in kinds.items():
        if unknown := found - kinds["train"] - {UNLABELLED}:
            raise UserError(
                f"{name} has images of the class {classes[min(unknown)]!r} in {split}, but none in "
                "train; put some there, or take these out"
            )
