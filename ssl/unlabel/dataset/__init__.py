"""The one interface every dataset fits. Each other file in this folder is a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unlabel.data.compressed import Encoded, Format
from unlabel.data.images import UNLABELLED, Images
from unlabel.errors import UserError
from unlabel.ranges import Natural, PartialShare
from unlabel.seeds import derive


class Raw(NamedTuple):
    """A dataset as its makers published it."""

    train: Images  # ids are unique over train and test, and never change
    test: Images
    classes: tuple[str, ...]  # the name of each label
    source: str  # what the images are and who published them, however they got here
    sha256: dict[str, str]  # of the content of each raw file
    factors: dict[str, tuple[str, ...]] = {}  # the columns of `Images.factor`, as `Data` has them
    validation: Images | None = None  # where it is not to be held out of train
    notes: dict[str, Any] = {}  # what else people should know, for report.json; `summary` in words


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images to load, and how many of those to train on are held out to choose settings with.

    Raises `UserError` unless `validation`, a fraction of each class, lies between 0 and 1.
    """

    validation: PartialShare = 0.1
    seed: Natural = 0  # which images are held out depends on this alone
    encoded: Format | None = None  # for sets that memory does not hold: kept as JPEG or PNG

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise UserError(
                f"dataset.validation is {self.validation}, but must lie between 0 and 1: "
                "it is the fraction of the images to train on that is held out"
            )

    def load(self, raw: Path) -> Raw:
        """All images; `raw` is the folder for this dataset's raw files, found or fetched.

        Whoever calls this may change them. Raises `UserError` if they are damaged, or neither there
        nor to be had.
        """
        raise NotImplementedError

    def labelled(self) -> bool:
        """Has any image a label? Told before the images are loaded, so that a plan can be made."""
        return True


def hold_out(images: Images, fraction: float, *purpose: object) -> tuple[Images, Images]:
    """The images to keep, and a random `fraction` of each class, both in their first order.

    At least one image of each class is on either side. Unlabelled images are all kept; where there
    are no others, they are split as one class is. `images` is of no use afterwards: those that are
    kept take its place in memory. Raises `UserError` if a class has a single image.
    """
    out = held(images.label, images.id.tolist(), fraction, *purpose)
    second = images.take(out)
    return images.without(out), second


def held(label: Tensor, keys: Sequence[object], fraction: float, *purpose: object) -> Tensor:
    """Which images `hold_out` holds out: labels (N,), and what each is chosen by -> bool (N,).

    Images of a class that have the same key are on the same side.
    """
    out = torch.zeros(len(label), dtype=torch.bool)
    for kind in label[label != UNLABELLED].unique().tolist() or [UNLABELLED]:
        members = (label == kind).nonzero().flatten().tolist()
        # Ranked by a hash of the key, the choice is the same with any version of any library.
        rank = {i: derive(*purpose, keys[i]) for i in members}
        ranks, different = sorted(rank.values()), sorted(set(rank.values()))
        if len(different) < 2:
            what = "there is" if kind == UNLABELLED else f"class {kind} has"
            raise UserError(
                f"{what} one image to train on, but two are needed for one to be held out; "
                "add images, or leave that one unlabelled"
            )
        size = max(round(fraction * len(members)), 1)
        last = min(ranks[size - 1], different[-2])
        out[[i for i in members if rank[i] <= last]] = True
    return out


def moments(image: Tensor | Encoded) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 (N, C, H, W), for pixels in [0, 1].

    The sums are whole numbers, so no order of adding changes them. The deviation is never 0: it is
    1 where all pixels are equal.
    """
    counts = np.zeros((image.shape[1], 256), np.int64)
    for start in range(0, len(image), 256):  # few enough for the processor's cache
        part = image[start : start + 256].to("cpu")
        for count, channel in zip(counts, part.unbind(1), strict=True):
            count += np.bincount(channel.reshape(-1).numpy(), minlength=256)
    mean, std = [], []
    for row in counts.tolist():
        values = list(enumerate(row))
        number, total = sum(row), sum(n * value for value, n in values)
        squares = sum(n * value**2 for value, n in values)
        mean.append(total / number / 255)
        std.append((number * squares - total**2) ** 0.5 / number / 255 or 1.0)
    return tuple(mean), tuple(std)
