"""Means and their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds; `interval` is half its interval's width, None for one seed."""

    mean: float
    interval: float | None
    n: int

    @property
    def low(self) -> float:
        """The interval's lower end, or the mean."""
        return self.mean - (self.interval or 0.0)

    @property
    def high(self) -> float:
        """The interval's upper end, or the mean."""
        return self.mean + (self.interval or 0.0)


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Student's t interval for the mean of independent values; None if there are none.

    `statistics` computes exactly, so the same values in another order give the same bits.
    """
    n = len(values)
    if n < 2:
        return Estimate(values[0], None, 1) if values else None
    return Estimate(mean(values), half_width(stdev(values), n, confidence), n)


def half_width(deviation: float, n: int, confidence: float = CONFIDENCE) -> float:
    """Half the width of Student's interval for the mean of n values with this deviation."""
    return float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)


def difference(values: Mapping[int, float], others: Mapping[int, float]) -> Estimate | None:
    """The mean difference over shared seeds, so that the effect of the seed cancels."""
    return estimate([values[seed] - others[seed] for seed in sorted(values.keys() & others.keys())])
