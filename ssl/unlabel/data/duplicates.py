"""Images that are there more than once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

Places = dict[str, list[str]]  # the names of one image, by the split they are in


def find(
    pixels: Sequence[bytes], names: Sequence[str], split: Tensor, splits: Sequence[str]
) -> tuple[list[Places], dict[str, int]]:
    """N images whose hashes of their `pixels` are the same, of splits (N,), numbers.

    For each image that is in several splits, its names there; and how many images of each split
    are there once more.
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
    return sorted(across, key=lambda places: next(iter(places.values()))), within


def leaks(across: Iterable[Places]) -> Iterator[str]:
    """What is in an earlier split, too, of the images that should be new in a later one."""
    for places in across:
        for name in list(places)[:-1]:
            yield from places[name]
