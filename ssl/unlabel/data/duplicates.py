"""Images that are there more than once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

Places = dict[str, list[str]]  # the names of one image, by split


class Duplicates(NamedTuple):
    """Images that show the same pixels."""

    across: list[Places]  # for each image that is in several splits, its names there
    within: dict[str, int]  # how many images of a split are in that split once more
    images: int  # that have the same pixels as another


def find(
    pixels: Sequence[str], names: Sequence[str], split: Tensor, splits: Sequence[str]
) -> Duplicates:
    """Find duplicates among N images, given the hash of each image's pixels.

    `split` (N,) has each image's place in `splits`.
    """
    groups = defaultdict(list)
    for at, digest in enumerate(pixels):
        groups[digest].append(at)
    across, within = [], dict.fromkeys(splits, 0)
    for group in groups.values():
        places: Places = {}
        for at in group:
            places.setdefault(splits[int(split[at])], []).append(names[at])
        for name, same in places.items():
            within[name] += len(same) - 1
        if len(places) > 1:
            across.append({name: sorted(places[name]) for name in splits if name in places})
    across.sort(key=lambda places: next(iter(places.values())))
    return Duplicates(across, within, sum(len(group) for group in groups.values() if group[1:]))


def leaks(across: Iterable[Places]) -> Iterator[str]:
    """The images of an earlier split that are also in a later one, where they should be new."""
    for places in across:
        for name in list(places)[:-1]:
            yield from places[name]
