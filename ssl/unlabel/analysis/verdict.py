"""Decides whether claims hold here: paired differences, their p-values, and a word.

Each claim is tested for and against, both with Student's t test of its differences, one for each
seed. For `same`, two one-sided tests ask whether the mean lies inside the margin; against it, the
test asks whether the mean lies outside.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.special import stdtr, stdtrit

from unlabel.analysis.estimate import CONFIDENCE, Estimate, estimate
from unlabel.params.claim import Claim

LEVEL = 1 - CONFIDENCE
HOLDS, FAILS, OPEN = "holds here", "does not hold here", "undecided at this scale"


@dataclass(frozen=True)
class JudgedClaim:
    """A claim on one dataset: the difference of its sides, and its p-values."""

    claim: Claim
    dataset: str
    effect: Estimate
    p_for: float
    p_against: float

    @property
    def word(self) -> str:
        """The verdict on this claim alone, without corrections."""
        return verdict([self]).word


@dataclass(frozen=True)
class Verdict:
    """The verdict on all claims. `p` is two-sided; `corrected` is Holm's over all statements."""

    p_for: float
    p_against: float
    p: float
    corrected: float

    @property
    def word(self) -> str:
        """The verdict in words."""
        if self.corrected >= LEVEL:
            return OPEN
        return HOLDS if self.p_for < self.p_against else FAILS


def judge_claim(claim: Claim, dataset: str, differences: Sequence[float]) -> JudgedClaim:
    """Judge a claim by its differences, left minus right, for at least two seeds."""
    n = len(differences)
    deviation = stdev(differences) / math.sqrt(n)
    tested = same if claim.kind == "same" else higher
    p_for, p_against = tested(mean(differences), deviation, n, claim.margin)
    effect = estimate(differences)
    assert effect is not None
    return JudgedClaim(claim, dataset, effect, p_for, p_against)


def higher(difference: float, error: float, n: int, margin: float) -> tuple[float, float]:
    """p-values that the mean is above `margin`, and below; `error` is the mean's standard error."""
    return _above(difference - margin, error, n), _above(margin - difference, error, n)


def same(difference: float, error: float, n: int, margin: float) -> tuple[float, float]:
    """p-values that the mean lies inside ±`margin`, by two one-sided tests, and outside."""
    inside = max(
        _above(difference + margin, error, n),
        _above(margin - difference, error, n),
    )
    outside = min(
        _above(difference - margin, error, n),
        _above(-margin - difference, error, n),
    )
    return inside, min(1.0, 2 * outside)  # outside on either side: two tests


def verdict(judged: Sequence[JudgedClaim]) -> Verdict:
    """Combine claims that must all hold: the weakest counts for them, the strongest against.

    Against them Bonferroni corrects, as any one of them is enough.
    """
    p_for = max(each.p_for for each in judged)
    p_against = min(1.0, len(judged) * min(each.p_against for each in judged))
    p = min(1.0, 2 * min(p_for, p_against))
    return Verdict(p_for, p_against, p, corrected=p)


def seeds_needed(judged: Sequence[JudgedClaim], most: int = 200) -> int | None:
    """How many seeds would decide if means and deviations stay as they are; None above `most`."""
    for n in range(2, most + 1):
        tried = []
        for each in judged:
            effect = each.effect
            quantile = float(stdtrit(effect.n - 1, (1 + CONFIDENCE) / 2))
            spread = (effect.interval or 0.0) / quantile * math.sqrt(effect.n)
            tested = same if each.claim.kind == "same" else higher
            tried.append(tested(effect.mean, spread / math.sqrt(n), n, each.claim.margin))
        p_for = max(p for p, _ in tried)
        if 2 * min(p_for, len(tried) * min(p for _, p in tried)) < LEVEL:
            return n
    return None


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, 1979), in the same order."""
    order = sorted(range(len(p)), key=lambda at: p[at])
    corrected, largest = [0.0] * len(p), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = largest
    return corrected


def _above(mean: float, error: float, n: int) -> float:
    """Student's one-sided p-value that a mean is above 0."""
    if error == 0:  # all seeds agree to the last digit
        return 0.5 if mean == 0 else float(mean < 0)
    return float(stdtr(n - 1, -mean / error))
