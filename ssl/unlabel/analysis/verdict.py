"""Whether what is claimed holds here: paired differences, their p-values, and a word.

A claim is tested both ways: for it, and against it. Both are Student's t tests of its differences,
one a seed. `same` is tested for by two one-sided tests, that is that the mean lies inside the
margin, and against by whether it lies outside.
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
    """A claim on one dataset: the difference of its sides, and how sure it is."""

    claim: Claim
    dataset: str
    effect: Estimate
    p_for: float
    p_against: float

    @property
    def word(self) -> str:
        """Of this claim alone, corrected for nothing."""
        return verdict([self]).word


@dataclass(frozen=True)
class Verdict:
    """Of all claims together. `p` is two-sided, and `corrected` by Holm over all statements."""

    p_for: float
    p_against: float
    p: float
    corrected: float

    @property
    def word(self) -> str:
        """What the statement does."""
        if self.corrected >= LEVEL:
            return OPEN
        return HOLDS if self.p_for < self.p_against else FAILS


def judge_claim(claim: Claim, dataset: str, differences: Sequence[float]) -> JudgedClaim:
    """Of a claim's differences, left minus right, one for each of at least two seeds."""
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
    """All claims must hold: so the weakest speaks for, and any, of so many, against."""
    p_for = max(each.p_for for each in judged)
    p_against = min(1.0, len(judged) * min(each.p_against for each in judged))
    p = min(1.0, 2 * min(p_for, p_against))
    return Verdict(p_for, p_against, p, corrected=p)


def seeds_needed(judged: Sequence[JudgedClaim], most: int = 200) -> int | None:
    """How many seeds would decide, were means and deviations to stay; None for more than `most`."""
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
    """p-values, corrected for being so many (Holm, 1979), in the same order."""
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
