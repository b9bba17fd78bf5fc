"""When the claims of a study are judged, and how much of the error each look may use."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LEVEL = 0.01  # the chance that a claim is decided wrongly, at any of its looks


@dataclass(frozen=True)
class Look:
    """The seeds that are there at a look, and its share of the error."""

    seeds: tuple[int, ...]
    share: float

    @property
    def confidence(self) -> float:
        """Of the interval at this look."""
        return 1 - LEVEL * self.share


def looks(seeds: Sequence[int], sizes: Sequence[int]) -> list[Look]:
    """A look after each of `sizes` seeds, in the order of `seeds`; the shares add up to 1.

    The first n of N seeds may use (n / N)^1.5 of the error: the power family of Kim and DeMets,
    "Design and analysis of group sequential tests based on the type I error spending rate
    function", Biometrika 74, 1987. With 1 instead of 1.5 clear differences take fewer seeds, with 2
    small ones are found more often; tests/analysis/test_repeated_looks.py prints how often.
    """
    spent = [(size / sizes[-1]) ** 1.5 for size in (0, *sizes)]
    shares = [after - before for before, after in pairwise(spent)]
    return [Look(tuple(seeds[:n]), share) for n, share in zip(sizes, shares, strict=True)]
