"""The verdict on a statement, by the words of its claims, and how far all verdicts can be trusted.

A claim's word depends on no other claim, so it is the same on each page. That bounds the errors of
many claims too. Each is decided wrongly with a chance of at most 1 %. So of m claims at most
m / 100 are, on average, whatever the claims have in common and whenever each was stopped. If R of
them are decided, their false discovery rate is at most 5 % where R is at least m / 5. This is the
e-BH procedure (Wang and Ramdas, "False discovery rate control with e-values", arXiv:2009.02824) for
e-values that are 100 where a claim is decided and 0 elsewhere. Benjamini and Hochberg's procedure
would decide a few more claims, but by all studies together, and is not proven for claims that share
an arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unlabel.analysis.judged_claim import HOLDS, OPEN
from unlabel.analysis.looks import LEVEL

IN_PART, FAILS = "holds in part", "does not hold"
RATE = 0.05  # of false discoveries, and of wrong strict verdicts


@dataclass(frozen=True)
class Grade:
    """How many of a statement's claims hold, and how many are open."""

    claims: int
    holding: int
    open: int

    @property
    def word(self) -> str:
        """All claims hold, some do, none does and one is decided, or none is decided."""
        if self.holding:
            return HOLDS if self.holding == self.claims else IN_PART
        return OPEN if self.open == self.claims else FAILS

    @property
    def text(self) -> str:
        """The word; if the statement holds in part, with the numbers."""
        part = f" ({self.holding} of {self.claims})" if self.word == IN_PART else ""
        return f"{self.word}{part}"


@dataclass(frozen=True)
class Strict:
    """The verdict that every claim holds. `p` is two-sided; `corrected` is Holm's."""

    p_for: float
    p_against: float
    p: float
    corrected: float

    @property
    def word(self) -> str:
        """The verdict in words."""
        if self.corrected >= RATE:
            return OPEN
        return HOLDS if self.p_for < self.p_against else FAILS


def grade(words: Sequence[str]) -> Grade:
    """Grade a statement by the words of its claims."""
    return Grade(len(words), words.count(HOLDS), words.count(OPEN))


def strict(p: Sequence[tuple[float, float]]) -> Strict:
    """Combine claims that must all hold, each with its p-values for and against.

    The weakest counts for them, the strongest against. Against them Bonferroni corrects, as any one
    of them is enough.
    """
    p_for = max(each for each, _ in p)
    p_against = min(1.0, len(p) * min(each for _, each in p))
    both = min(1.0, 2 * min(p_for, p_against))
    return Strict(p_for, p_against, both, corrected=both)


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, 1979), in the same order."""
    order = sorted(range(len(p)), key=lambda at: p[at])
    corrected, largest = [0.0] * len(p), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = largest
    return corrected


def false_discoveries(claims: int, decided: int) -> float:
    """At most this share of the decided claims is wrong, if `decided` was fixed beforehand.

    If it is at most RATE, the false discovery rate is at most RATE (e-BH, see above).
    """
    return min(1.0, LEVEL * claims / decided) if decided else 0.0
