"""Turn a dataset into three Arrow files."""

from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from unlabel import files
from unlabel.data import images
from unlabel.data.compressed import CompressedImages, Format, encode, spool
from unlabel.data.expected import remarks
from unlabel.data.images import UNLABELLED, Data, Images
from unlabel.data.preparation import in_order, preparation
from unlabel.dataset import Dataset, Raw, check_labels, hold_out, moments
from unlabel.errors import UserError, printable
from unlabel.params.settings import build, load
from unlabel.progress import note

SPLITS = ("train", "validation", "test")


def run(
    params: Path,
    raw: Path,
    train: Path,
    validation: Path,
    test: Path,
    report: Path | None = None,
    workers: int = 1,
) -> None:
    """Load a dataset, split it, and write its three splits.

    Args:
        params: the dataset's `name` and, under `dataset`, its recipe, a YAML file
        raw: the folder with the dataset's raw files
        train: the Arrow file to write the training split to
        validation: the Arrow file to write the validation split to
        test: the Arrow file to write the test split to
        report: a JSON file to write the number of images of each class in each split to, and what
            was left out
        workers: the number of threads that decode image files; no result depends on it

    Raises:
        UserError: if the settings are wrong, or raw files are missing or damaged
    """
    settings = load(params)
    for key, kind in (("name", str), ("dataset", dict)):
        if not isinstance(settings.get(key), kind):
            raise UserError(f"{params} needs two settings: `name`, a text, and `dataset`, a recipe")
    dataset = build(settings["dataset"], "dataset")
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"dataset._target_ is {settings['dataset']['_target_']}, which is not a dataset"
        )
    if workers < 1:
        raise UserError(f"workers is {workers}, but must be 1 or more")
    with preparation(workers):
        _prepare(dataset, settings, raw, (train, validation, test), report)


def _prepare(
    dataset: Dataset,
    settings: dict[str, Any],
    raw: Path,
    paths: tuple[Path, Path, Path],
    report: Path | None,
) -> None:
    loaded, name = dataset.load(raw), settings["name"]
    _check(loaded, name)
    loaded = _with_sorted_factors(loaded)
    first, second = loaded.train, loaded.validation
    if second is None:
        first, second = hold_out(loaded.train, dataset.validation, dataset.seed, "validation")
    splits = dict(zip(SPLITS, (first, second, loaded.test), strict=True))
    check_labels({key: each.label for key, each in splits.items()}, loaded.classes, name)
    if dataset.encoded is not None:
        splits = {key: _compress(split, dataset.encoded, raw) for key, split in splits.items()}
    mean, std = moments(splits["train"].image)
    channels, height, width = first.image.shape[1:]
    shape = (channels, height, width)
    for path, split in zip(paths, splits.values(), strict=True):
        about = (name, shape, mean, std, loaded.classes, len(split.id))
        facts = (loaded.source, loaded.sha256, loaded.factors, loaded.preprocessing)
        data = Data(*about, *facts)
        images.write(path, split, data)
    summary = _describe(splits, loaded)
    if report is not None:
        known = settings if "path" in settings else {}  # as the plan has them
        place = {key: known.get(key) for key in ("path", "content", "dataset")}
        files.write_json(report, summary | place)
    sizes = ", ".join(f"{len(split.id)} {key}" for key, split in splits.items())
    for said in (sizes, *summary["summary"]):
        note(printable(f"{name}: {said}"))  # names of files and classes may be in it


def _with_sorted_factors(raw: Raw) -> Raw:
    """With the factors in the order of their names, the only one that a prepared file keeps."""
    order = sorted(range(len(raw.factors)), key=[*raw.factors].__getitem__)

    def ordered(images: Images) -> Images:
        return images._replace(factor=images.factor[:, order])

    return raw._replace(
        train=ordered(raw.train),
        test=ordered(raw.test),
        validation=raw.validation and ordered(raw.validation),
        factors=dict(sorted(raw.factors.items())),
    )


def _describe(splits: dict[str, Images], raw: Raw) -> dict[str, Any]:
    """What people should know about a dataset before they train on it."""
    counts = {}
    for name, split in splits.items():
        known = split.label[split.label != UNLABELLED]
        number = known.bincount(minlength=len(raw.classes)).tolist()
        classes = dict(zip(raw.classes, number, strict=True)) if len(known) else {}
        unlabelled = len(split.id) - len(known)
        counts[name] = {"images": len(split.id), "unlabelled": unlabelled, "classes": classes}
    labelled = any(count["classes"] for count in counts.values())
    few = list(remarks({name: len(split.id) for name, split in splits.items()}))
    summary = [*raw.notes.get("summary", []), *few]
    return {**raw.notes, "summary": summary, "labelled": labelled, "splits": counts}


def _compress(images: Images, format: Format, folder: Path) -> Images:
    """The images compressed in a `format`; their files stay in `folder` while this process runs."""
    if isinstance(images.image, CompressedImages):  # the dataset reads them so
        return images
    encoded = in_order(lambda pixels: encode(pixels, format), images.image.numpy())
    store = spool(encoded, folder)
    channels, height, width = images.image.shape[1:]
    shape = (channels, height, width)
    return images._replace(image=CompressedImages(store, images.id, shape, "the dataset"))


def _check(raw: Raw, name: str) -> None:
    """Raise `UserError` for a dataset that later stages could not use."""
    splits = {"train": raw.train, "test": raw.test}
    if raw.validation is not None:
        splits["validation"] = raw.validation
    for split, each in splits.items():
        if not len(each.id):
            raise UserError(f"{name} has no images in {split}")
        if not UNLABELLED <= each.label.min() <= each.label.max() < len(raw.classes):
            raise UserError(f"{name} has labels in {split} that are not among its classes")
        if each.factor.shape != (len(each.id), len(raw.factors)):
            raise UserError(f"{name} does not have the factors in {split} that it names")
        for place, (factor, values) in enumerate(raw.factors.items()):
            column = each.factor[:, place]
            if not UNLABELLED <= column.min() <= column.max() < len(values):
                raise UserError(f"{name} has values of {factor} in {split} that it does not name")
    for (first, one), (second, other) in combinations(splits.items(), 2):
        if one.image.shape[1:] != other.image.shape[1:]:
            raise UserError(f"{name} has images of different shapes in {first} and {second}")
    ids = torch.cat([each.id for each in splits.values()])
    if len(ids.unique()) < len(ids):
        raise UserError(f"{name} has several images with the same id")
