"""What is known of a dataset before its images are loaded. Imports nothing that takes long."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Expected(NamedTuple):
    """What is known of a dataset before its images are loaded."""

    labelled: bool
    size: tuple[int, int] | None = None  # height and width; None: unknown
    # in each split, if all images can be read and no two are alike; None: unknown
    images: Mapping[str, int] | None = None
    classes: int | None = None  # None: unknown
    masks: bool = False  # is the class of each pixel known?


def changed(key: str, planned: int, made: int, images: int) -> str:
    """What a setting is made for so few images, and why."""
    return f"{images:,} images to train on, so {key} is {made:,} and not {planned:,}"


def remarks(images: Mapping[str, int]) -> Iterator[str]:
    """What people should know of splits with a single image."""
    if images.get("validation") == 1:
        yield "1 validation image: measures that compare images (spectrum, invariance) are left out"
    if images.get("test") == 1:
        yield "1 test image: an accuracy is 0 % or 100 %"
