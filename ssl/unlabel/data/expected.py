"""What is known of a dataset before its images are loaded. Imports nothing that takes long."""

from collections.abc import Mapping
from typing import NamedTuple


class Expected(NamedTuple):
    """What is known of a dataset before its images are loaded."""

    labelled: bool
    size: tuple[int, int] | None = None  # height and width; None: unknown
    # in each split, if all images can be read and no two are alike; None: unknown
    images: Mapping[str, int] | None = None
