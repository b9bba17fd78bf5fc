"""Ranges of numbers as types: `temperature: Positive = 0.1` is checked before anything starts."""

from dataclasses import dataclass
from math import inf
from typing import Annotated


@dataclass(frozen=True)
class Range:
    """The finite numbers from `low` to `high`; with `above` or `below`, without that end."""

    low: float
    high: float = inf
    above: bool = False  # low itself is too low
    below: bool = False  # high itself is too high

    def __contains__(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and abs(value) != inf

    def __str__(self) -> str:
        if self.low == -inf:
            return "that is finite"
        low = f"above {self.low}" if self.above else f"of at least {self.low}"
        if self.high == inf:
            return low
        if not (self.above or self.below):
            return f"from {self.low} to {self.high}"
        return f"{low} and {'below' if self.below else 'at most'} {self.high}"


Finite = Annotated[float, Range(-inf)]
Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
PositiveShare = Annotated[float, Range(0, 1, above=True)]
PartialShare = Annotated[float, Range(0, 1, above=True, below=True)]  # some, and not all
Decay = Annotated[float, Range(0, 1, below=True)]  # of a running mean
