"""Turn a dataset into three Arrow files."""

from pathlib import Path

import torch

from unlabel import images
from unlabel.dataset import Dataset, Raw, hold_out, moments
from unlabel.encoded import Encoded, Format, encode, spool
from unlabel.errors import UserError
from unlabel.images import UNLABELLED, Data, Images
from unlabel.settings import build, load


def run(params: Path, raw: Path, train: Path, validation: Path, test: Path) -> None:
    """Load the dataset of `params`, its raw files in the folder `raw`, and write its three splits.

    `params` holds its `name` and, under `dataset`, its recipe. Raises `UserError` for wrong
    settings, and for raw files that are damaged or not to be had.
    """
    settings = load(params)
    for key, kind in (("name", str), ("dataset", dict)):
        if not isinstance(settings.get(key), kind):
            raise UserError(f"{params} needs the settings `name`, a text, and `dataset`, a recipe")
    dataset = build(settings["dataset"], "dataset")
    if not isinstance(dataset, Dataset):
        raise UserError(f"dataset._target_ is {settings['dataset']['_target_']}, no dataset")
    loaded = dataset.load(raw)
    _check(loaded, settings["name"])
    if dataset.encoded is not None:
        loaded = _encoded(loaded, dataset.encoded, raw)
    kept, held = hold_out(loaded.train, dataset.validation, dataset.seed, "validation")
    mean, std = moments(kept.image)
    channels, height, width = kept.image.shape[1:]
    shape = (channels, height, width)
    for path, split in ((train, kept), (validation, held), (test, loaded.test)):
        about = (settings["name"], shape, mean, std, loaded.classes, len(split.id))
        data = Data(*about, loaded.source, loaded.sha256, loaded.factors)
        images.write(path, split, data)


def _encoded(raw: Raw, format: Format, folder: Path) -> Raw:
    """With images in files of a `format`, that stay in `folder` while this process goes on."""

    def stored(images: Images) -> Images:
        if isinstance(images.image, Encoded):  # as the dataset has read them
            return images
        files = spool((encode(pixels, format) for pixels in images.image.numpy()), folder)
        channels, height, width = images.image.shape[1:]
        shape = (channels, height, width)
        return images._replace(image=Encoded(files, images.id, shape, "the dataset"))

    return raw._replace(train=stored(raw.train), test=stored(raw.test))


def _check(raw: Raw, name: str) -> None:
    """Raise `UserError` for what no later stage could make sense of."""
    for split, each in (("train", raw.train), ("test", raw.test)):
        if not len(each.id):
            raise UserError(f"{name} has no images in {split}")
        if not UNLABELLED <= each.label.min() <= each.label.max() < len(raw.classes):
            raise UserError(f"{name} has labels in {split} that none of its classes stands for")
        if each.factor.shape != (len(each.id), len(raw.factors)):
            raise UserError(f"{name} has factors in {split} that it does not name, or names more")
        for place, (factor, values) in enumerate(raw.factors.items()):
            column = each.factor[:, place]
            if not UNLABELLED <= column.min() <= column.max() < len(values):
                raise UserError(f"{name} has values of {factor} in {split} that it does not name")
    if raw.train.image.shape[1:] != raw.test.image.shape[1:]:
        raise UserError(f"{name} has images of different shapes in train and test")
    ids = torch.cat([raw.train.id, raw.test.id])
    if len(ids.unique()) < len(ids):
        raise UserError(f"{name} has several images with the same id")
