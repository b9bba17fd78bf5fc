"""What `prepare` has said of a dataset: how many images there are, and what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError
from unlabel.units import DASH, number

SPLITS = ("train", "validation", "test")
FIRST = "prepare the dataset"


@dataclass(frozen=True)
class Split:
    """The images of a split."""

    name: str
    images: int
    unlabelled: int
    classes: Mapping[str, int]  # images of each class

    @property
    def each_class(self) -> str:
        """The number of images in the smallest and in the largest class."""
        counts = sorted({min(self.classes.values()), max(self.classes.values())})
        return " to ".join(number(count, 0) for count in counts)

    @property
    def cells(self) -> tuple[str, ...]:
        """Images, unlabelled ones, classes, and images of each class."""
        known = (number(len(self.classes), 0), self.each_class) if self.classes else (DASH, DASH)
        return (number(self.images, 0), number(self.unlabelled, 0), *known)


@dataclass(frozen=True)
class ImageCounts:
    """The images of a dataset."""

    splits: tuple[Split, ...]
    remarks: tuple[str, ...]  # what people should know, in a few words each


def read(path: Path) -> ImageCounts:
    """Read the report.json of a dataset. Raises `UserError` if it is missing or damaged."""
    content = files.read_json(path, FIRST)
    try:
        splits = tuple(_split(name, content["splits"][name]) for name in SPLITS)
        return ImageCounts(splits, tuple(map(str, content["summary"])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not count the images of a dataset; {FIRST} again") from error


def _split(name: str, content: Mapping[str, Any]) -> Split:
    classes = {str(key): int(count) for key, count in content["classes"].items()}
    return Split(name, int(content["images"]), int(content["unlabelled"]), classes)
