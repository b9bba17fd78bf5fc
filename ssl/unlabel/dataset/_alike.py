"""Images that show the same pixels: found, named, and left out where they must be."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from unlabel.data import duplicates
from unlabel.data.names import few
from unlabel.data.source_state import PROBE
from unlabel.dataset._decoding import Decoded
from unlabel.dataset._layout import SPLITS


class Alike(NamedTuple):
    """What becomes of images that show the same pixels; places among all images."""

    rest: list[int]  # without copies of images of the labelled set
    keep: list[int]  # of these, without what is dropped
    summary: list[str]
    record: dict[str, Any]


def alike(found: Decoded, names: Sequence[str], split: Tensor, drop: bool) -> Alike:
    """Find what shows the same pixels; leave out what a labelled set has too, and what to drop."""
    copies = _copies(found, names)
    out = set(copies)
    rest = [at for at, name in enumerate(names) if name not in out]
    pixels, kept = [found.pixels[at] for at in rest], [names[at] for at in rest]
    same = duplicates.find(pixels, kept, split[rest], SPLITS)
    dropped = set(duplicates.leaks(same.across)) if drop else set()
    summary = []
    if same.images:
        across = sum(len(each) for places in same.across for each in places.values())
        summary.append(
            f"{same.images} of {len(names)} have the same pixels as another"
            + (f", {across} of them as an image of another split" if across else "")
            + (f", {len(dropped)} of these dropped" if dropped else "")
        )
    record: dict[str, Any] = {"across splits": same.across, "within splits": same.within}
    record |= {"dropped": sorted(dropped)} if dropped else {}
    if copies:
        summary.append(f"{len(copies)} left out, also in probe_path: {few(sorted(copies))}")
        record["in probe_path"] = sorted(copies)
    return Alike(rest, [at for at in rest if names[at] not in dropped], summary, record)


def _copies(found: Decoded, names: Sequence[str]) -> list[str]:
    """The images that show the same pixels as one of the labelled set at `probe_path`."""
    every = list(zip(found.pixels, names, strict=True))
    probe = {pixels for pixels, name in every if name.startswith(PROBE)}
    return [name for pixels, name in every if pixels in probe and not name.startswith(PROBE)]
