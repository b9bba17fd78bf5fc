"""The interface of every dataset. Each other file in this folder is a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unlabel.data.compressed import CompressedImages, Format
from unlabel.data.expected import Expected
from unlabel.data.images import UNLABELLED, Images
from unlabel.data.masks import Masks
from unlabel.data.preparation import in_order
from unlabel.errors import UserError
from unlabel.ranges import Natural, PartialShare
from unlabel.seeds import derive


class Raw(NamedTuple):
    """A dataset as it was published."""

    train: Images  # ids are unique over train and test, and never change
    test: Images
    classes: tuple[str, ...]  # the name of each label
    source: str  # what the images are and who published them
    sha256: dict[str, str]  # of each raw file, by its name
    factors: dict[str, tuple[str, ...]] = {}  # the columns of `Images.factor`, as in `Data`
    validation: Images | None = None  # None: to be held out of train
    notes: dict[str, Any] = {}  # for report.json; `summary` is a list of sentences
    preprocessing: dict[str, Any] = {}  # of image files, as in `Data`


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images to load, and the fraction of train that is held out to choose settings with.

    Raises `UserError` unless `validation`, a fraction of each class, lies between 0 and 1.
    """

    validation: PartialShare = 0.1
    seed: Natural = 0  # chooses which images are held out; nothing else does
    encoded: Format | None = None  # keep images compressed, if memory cannot hold them

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise UserError(
                f"dataset.validation is {self.validation}, but must lie between 0 and 1: "
                "it is the fraction of the images to train on that is held out"
            )

    def load(self, raw: Path) -> Raw:
        """Load all images. `raw` is the folder for this dataset's raw files, found or fetched.

        The caller may change the images in place. Raises `UserError` if the raw files are damaged,
        or are not there and cannot be fetched.
        """
        raise NotImplementedError

    def labelled(self) -> bool:
        """Whether any image has a label. The plan asks this before the images are loaded."""
        return True

    def image_size(self) -> tuple[int, int] | None:
        """Height and width of all images when they are loaded; None if not known before."""
        return None

    def expected(self) -> Expected:
        """What is known before the images are loaded.

        Raises `UserError` for what would fail later whatever they show.
        """
        return Expected(self.labelled(), self.image_size(), masks=self.segmented())

    def masks(self, raw: Path) -> Masks:
        """The class of each pixel of all images; `raw` as for `load`.

        Raises `UserError` as `load` does, and for a dataset without masks.
        """
        raise UserError("the class of each pixel is not known in this dataset: it has no masks")

    def segmented(self) -> bool:
        """Whether it has masks."""
        return type(self).masks is not Dataset.masks


def hold_out(images: Images, fraction: float, *purpose: object) -> tuple[Images, Images]:
    """Split into images to keep and a random `fraction` of each class, both in the same order.

    Each side gets at least one image of each class. Unlabelled images are all kept, unless there
    are no others; then they are split as one class. Do not use `images` afterwards: the images to
    keep overwrite it in memory. Raises `UserError` if a class has a single image.
    """
    out = held_out_mask(images.label, images.id.tolist(), fraction, *purpose)
    second = images.take(out)
    return images.without(out), second


def held_out_mask(
    label: Tensor, keys: Sequence[object], fraction: float, *purpose: object
) -> Tensor:
    """Choose the images to hold out: labels (N,) and a key for each image -> bool (N,).

    The choice depends on the keys alone. Images of a class that have the same key stay together.
    """
    out = torch.zeros(len(label), dtype=torch.bool)
    for kind in label[label != UNLABELLED].unique().tolist() or [UNLABELLED]:
        members = (label == kind).nonzero().flatten().tolist()
        # Ranking by a hash of the key makes the same choice with any version of any library.
        rank = {i: derive(*purpose, keys[i]) for i in members}
        ranks, different = sorted(rank.values()), sorted(set(rank.values()))
        if len(different) < 2:
            what = "there is" if kind == UNLABELLED else f"class {kind} has"
            raise UserError(
                f"{what} one image to train on, but two are needed, so that one can be held out; "
                "add images, or leave this one unlabelled"
            )
        size = max(round(fraction * len(members)), 1)
        last = min(ranks[size - 1], different[-2])
        out[[i for i in members if rank[i] <= last]] = True
    return out


def check_labels(
    labels: Mapping[str, Tensor], classes: Sequence[str], name: str = "the dataset"
) -> None:
    """Raise `UserError` for labels (N,) of splits that cannot be learned or cannot be tested."""
    kinds = {split: set(each.unique().tolist()) for split, each in labels.items()}
    labelled = {split: bool(found - {UNLABELLED}) for split, found in kinds.items()}
    if any(labelled.values()) and not all(labelled.values()):
        lacking = next(split for split, has in labelled.items() if not has)
        other = next(split for split, has in labelled.items() if has)
        raise UserError(
            f"{name} has labels in {other}, but none in {lacking}; "
            "label some images of each split, or none"
        )
    for split, found in kinds.items():
        if unknown := found - kinds["train"] - {UNLABELLED}:
            raise UserError(
                f"{name} has images of the class {classes[min(unknown)]!r} in {split}, but none in "
                "train; put some there, or take these out"
            )


def moments(image: Tensor | CompressedImages) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 (N, C, H, W), for pixels in [0, 1].

    The sums are whole numbers, so the order of addition does not matter. The deviation is never 0:
    it is 1 if all pixels are equal.
    """

    def counted(start: int) -> np.ndarray:
        part = image[start : start + 256].to("cpu")  # few enough for the processor's cache
        every = (channel.reshape(-1).bincount(minlength=256) for channel in part.unbind(1))
        return torch.stack(list(every)).numpy()

    counts = sum(in_order(counted, range(0, len(image), 256)), np.zeros((1, 1), np.int64))
    mean, std = [], []
    for row in counts.tolist():
        values = list(enumerate(row))
        number, total = sum(row), sum(n * value for value, n in values)
        squares = sum(n * value**2 for value, n in values)
        mean.append(total / number / 255)
        std.append((number * squares - total**2) ** 0.5 / number / 255 or 1.0)
    return tuple(mean), tuple(std)
