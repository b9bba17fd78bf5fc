"""How much memory a job needs that holds the features of a dataset."""

from collections.abc import Mapping
from math import ceil

FEW = 1 << 17  # images whose features fit into what each job gets
FLOAT = 4  # bytes
WITHIN = 1000  # MiB of features that are part of what each job gets


def needed(least: int, images: int, dim: int) -> int:
    """MiB for the features of so many images, each `dim` long, of a job that gets `least` or more.

    A probe holds them once. What it needs beside them does not grow: a process (1 GiB), what a
    linear classifier has turned (2 GiB at most), and the projector's output of 131,072 images.
    """
    return max(least, least - WITHIN + ceil(images * dim * FLOAT / 2**20))


def measured(images: Mapping[str, int] | None, limit: int | None) -> int:
    """The images with features: at most `limit` of train, and all others; 0 if nobody knows."""
    if images is None:
        return 0
    train = images["train"] if limit is None else min(images["train"], limit)
    return train + sum(number for split, number in images.items() if split != "train")
