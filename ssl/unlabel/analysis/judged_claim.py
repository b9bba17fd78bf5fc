"""Whether a claim holds, read off an interval for its difference.

The differences are paired by seed. At each look, Student's t gives an interval for their mean, and
the looks share an error of 1 %. By Bonferroni's inequality, all intervals of a claim hold its true
difference in 99 of 100 cases, whatever made us stop or go on (repeated confidence intervals,
Jennison and Turnbull, J. R. Stat. Soc. B 51, 1989). Each word says that the difference lies in some
region, and is given if the whole interval lies there. So a word is wrong only if an interval misses
the true difference. "No difference" is the two one-sided tests of Schuirmann (1987).

Boundaries from the joint distribution of the looks would narrow the last interval a little, but
need numerical integration for each list of looks. E-values would allow a look after each seed, for
wider intervals at each of these looks.

A decided claim keeps its word: seeds that are trained later for other claims do not count.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.special import stdtr

from unlabel.analysis.estimate import Estimate, estimate, half_width
from unlabel.analysis.looks import Look
from unlabel.params.claim import Claim

HOLDS, REVERSED, NO_DIFFERENCE = "holds", "reversed", "no difference"
FALLS_SHORT, DIFFERS = "falls short", "differs"
OPEN = "open"


@dataclass(frozen=True)
class JudgedClaim:
    """A claim on one dataset, and its differences (left minus right) by seed, at its last look."""

    claim: Claim
    dataset: str
    differences: Mapping[int, float]
    look: Look
    margin: float | None = None  # a difference inside it counts as none; None if none does

    @property
    def effect(self) -> Estimate:
        """The mean difference, with the interval of its look."""
        found = estimate(list(self.differences.values()), self.look.confidence)
        assert found is not None
        return found

    @property
    def word(self) -> str:
        """The verdict on the claim."""
        return word(self.claim, self.effect, self.margin)

    @property
    def p(self) -> tuple[float, float]:
        """p-values for the claim and against it, however often it was looked at.

        By Bonferroni, a look's p-value is divided by the look's share of the error.
        """
        values = list(self.differences.values())
        error = stdev(values) / math.sqrt(len(values))
        tested = same if self.claim.kind == "same" else higher
        once = tested(mean(values), error, len(values), self.claim.bound)
        p_for, p_against = (min(1.0, each / self.look.share) for each in once)
        return p_for, p_against

    def seeds_needed(self, most: int = 200) -> int | None:
        """How many seeds would decide it if the mean and the spread stay; None above `most`."""
        values = list(self.differences.values())
        center, spread = mean(values), stdev(values)
        for n in range(len(values), most + 1):
            found = Estimate(center, half_width(spread, n, self.look.confidence), n)
            if word(self.claim, found, self.margin) != OPEN:
                return n
        return None


def judge_claim(
    claim: Claim,
    dataset: str,
    differences: Mapping[int, float],
    reached: Sequence[Look],
    margin: float | None = None,
) -> JudgedClaim:
    """Judge a claim at the first look that decides it, or else at the last that is reached.

    At least two seeds of each look must have a difference.
    """
    for look in reached:
        seen = {seed: differences[seed] for seed in look.seeds if seed in differences}
        judged = JudgedClaim(claim, dataset, seen, look, margin)
        if judged.word != OPEN:
            break
    return judged


def word(claim: Claim, effect: Estimate, margin: float | None = None) -> str:
    """What an interval says of a claim."""
    low, high, bound = effect.low, effect.high, claim.bound
    if claim.kind == "same":
        if -bound < low and high < bound:
            return HOLDS
        return DIFFERS if low > bound or high < -bound else OPEN
    if low > bound:
        return HOLDS
    if high < min(bound, 0.0):
        return REVERSED
    if margin is not None and bound >= 0 and -margin < low and high < margin:
        return NO_DIFFERENCE
    return FALLS_SHORT if high < bound else OPEN


def higher(difference: float, error: float, n: int, bound: float) -> tuple[float, float]:
    """p-values that the mean is above `bound`, and below; `error` is the mean's standard error."""
    return _above(difference - bound, error, n), _above(bound - difference, error, n)


def same(difference: float, error: float, n: int, bound: float) -> tuple[float, float]:
    """p-values that the mean lies inside ±`bound`, by two one-sided tests, and outside."""
    inside = max(_above(difference + bound, error, n), _above(bound - difference, error, n))
    outside = min(_above(difference - bound, error, n), _above(-bound - difference, error, n))
    return inside, min(1.0, 2 * outside)  # outside on either side: two tests


def _above(mean: float, error: float, n: int) -> float:
    """Student's one-sided p-value that a mean is above 0."""
    if error == 0:  # all seeds agree to the last digit
        return 0.5 if mean == 0 else float(mean < 0)
    return float(stdtr(n - 1, -mean / error))
