"""Read the splits of a prepared dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from unlabel.data import images
from unlabel.data.images import UNLABELLED, Data, Images
from unlabel.errors import UserError
from unlabel.seeds import generator


def read_splits(
    paths: Sequence[Path], shape: tuple[int, int, int] | None = None
) -> tuple[list[Images], Data]:
    """The images of each file, and the `Data` of the last one.

    Raises `UserError` if a file is missing, damaged or empty, or its images do not have the `shape`
    that an encoder was trained on.
    """
    splits = []
    for path in paths:
        split, data = images.read(path)
        if not len(split.id):
            raise UserError(f"{path} has no images; prepare the dataset so that no split is empty")
        if shape is not None and data.shape != shape:
            raise UserError(
                f"the images of {path} are {data.shape} (channels, height, width), but the encoder "
                f"was trained on {shape}; prepare them in the encoder's shape"
            )
        splits.append(split)
    return splits, data


def random_subset(images: Images, number: int | None) -> Images:
    """Choose `number` random images, the same ones each time; all if there are no more.

    Unlabelled images are chosen only if there are too few labelled ones.
    """
    if number is None or number >= len(images.id):
        return images
    order = torch.randperm(len(images.id), generator=generator("features"))
    unlabelled = images.label[order] == UNLABELLED
    order = order[unlabelled.int().argsort(stable=True)]
    return images.take(order[:number].sort().values)


def subset_of_each_class(images: Images, number: int | None) -> Images:
    """`random_subset`, and the first image of each class that it lacks."""
    chosen = random_subset(images, number)
    known = torch.cat([chosen.label, torch.tensor([UNLABELLED])])
    others = (~torch.isin(images.label, known)).nonzero().flatten()
    if not len(others):
        return chosen
    _, first = np.unique(images.label[others].numpy(), return_index=True)
    kept = torch.isin(images.id, chosen.id)
    kept[others[first]] = True
    return images.take(kept)
