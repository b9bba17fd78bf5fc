"""How often claims are decided wrongly, and how often at all, however often one looks."""

import numpy as np
import pytest
from scipy.special import stdtrit

from support.claims import parsed
from unlabel.analysis.judged_claim import HOLDS, NO_DIFFERENCE, OPEN, judge_claim
from unlabel.analysis.looks import LEVEL, looks
from unlabel.analysis.verdict import RATE, false_discoveries
from unlabel.params.looks import LOOKS

STUDIES = 10_000
SEEDS = list(range(LOOKS[-1]))
PLANNED = looks(SEEDS, LOOKS)
HIGHER = parsed(higher="a", than="b")


def normal(rng, shape):
    return rng.standard_normal(shape)


def heavy(rng, shape):
    """Student's t with 3 degrees of freedom."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def even(rng, shape):
    return rng.uniform(-np.sqrt(3), np.sqrt(3), shape)


def lopsided(rng, shape):
    """Gamma of shape 4: a skewness of 1."""
    return rng.gamma(4, 0.5, shape) - 2


def exponential(rng, shape):
    """A skewness of 2."""
    return rng.exponential(1, shape) - 1


def collapsing(rng, shape):
    """In one of ten seeds an arm collapses, by eight deviations of the others."""
    return rng.standard_normal(shape) + 8 * (0.1 - (rng.uniform(size=shape) < 0.1))


def intervals(drawn, planned):
    """The interval of each study at each look: (studies, looks) low, and high."""
    low, high = [], []
    for look in planned:
        seen = drawn[:, list(look.seeds)]
        n = seen.shape[1]
        half = stdtrit(n - 1, (1 + look.confidence) / 2) * seen.std(axis=1, ddof=1) / np.sqrt(n)
        low.append(seen.mean(axis=1) - half)
        high.append(seen.mean(axis=1) + half)
    return np.array(low).T, np.array(high).T


def judged(drawn, planned, margin):
    """Each study's word and its seeds, as `judge_claim` finds them, but all at once."""
    low, high = intervals(drawn, planned)
    words = np.full(len(drawn), OPEN, object)
    seeds = np.full(len(drawn), len(planned[-1].seeds))
    for at in reversed(range(len(planned))):
        for word, found in (
            (NO_DIFFERENCE, (low[:, at] > -margin) & (high[:, at] < margin)),
            ("reversed", high[:, at] < 0),
            (HOLDS, low[:, at] > 0),
        ):
            words[found] = word
            seeds[found] = len(planned[at].seeds)
    return words, seeds


def test_the_quick_rule_is_the_real_one():
    rng = np.random.default_rng(0)
    drawn = rng.normal(rng.choice([-0.01, 0, 0.004, 0.02], (300, 1)), 0.008, (300, len(SEEDS)))
    words, seeds = judged(drawn, PLANNED, 0.01)
    assert len(set(words)) == 4
    for row, word, n in zip(drawn, words, seeds, strict=True):
        found = judge_claim(HIGHER, "digits", dict(enumerate(row.tolist())), PLANNED, 0.01)
        assert (found.word, found.effect.n) == (word, n)


@pytest.mark.parametrize("sizes", [LOOKS, [20], [3], [3, 4, 5, 6], list(range(3, 21))])
def test_claims_are_rarely_decided_wrongly(sizes, capsys):
    """An error is an interval that misses the truth at any look: no word can be wrong without.

    Of a mean that rare collapses decide, few seeds say nothing; that is shown, and not promised.
    """
    rng, planned = np.random.default_rng(1), looks(SEEDS[: sizes[-1]], sizes)
    rates = {}
    for draw in (normal, heavy, even, lopsided, exponential, collapsing):
        low, high = intervals(draw(rng, (STUDIES, sizes[-1])), planned)
        rates[draw.__name__] = float(((low > 0) | (high < 0)).any(axis=1).mean())
    with capsys.disabled():
        shown = ", ".join(f"{name} {100 * rate:.1f}" for name, rate in rates.items())
        print(f"\nlooks {sizes}: wrong in % if differences are {shown}")
    noise = 3 * np.sqrt(LEVEL / STUDIES)
    assert rates["normal"] <= LEVEL + noise
    assert rates["heavy"] <= LEVEL + noise
    assert max(rates["even"], rates["lopsided"]) <= RATE
    assert rates["exponential"] <= 1.3 * RATE


def test_power(capsys):
    """The share of claims that are decided, by the mean difference in standard deviations."""
    rng = np.random.default_rng(2)
    lines = ["", "mean / deviation   decided rightly   of these at 6, 12, 20 seeds   mean seeds"]
    found = {}
    for effect in (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5):
        # "no difference" means inside ±1.2 deviations
        drawn = effect + normal(rng, (STUDIES, len(SEEDS)))
        words, seeds = judged(drawn, PLANNED, 1.2 if effect == 0 else 0.0)
        right = words == (HOLDS if effect else NO_DIFFERENCE)
        split = [float((right & (seeds == n)).mean()) for n in LOOKS]
        found[effect] = float(right.mean())
        shown = " ".join(f"{100 * each:5.1f}" for each in split)
        said = f"{effect:g}" if effect else "0 (margin 1.2)"
        lines.append(f"{said:>16} {100 * right.mean():15.1f} % {shown:>25} {seeds.mean():12.1f}")
        assert ((words != OPEN) & ~right).mean() <= LEVEL
    with capsys.disabled():
        print("\n".join(lines))
    powers = [found[effect] for effect in (0.25, 0.5, 0.75, 1, 1.5, 2)]
    assert powers == sorted(powers)
    assert found[1] > 0.8
    assert found[0] > 0.9


def test_the_rate_of_false_discoveries_among_claims_that_share_arms(capsys):
    """Half of 90 claims are null. Each ten compare with one arm, and stop when they are decided."""
    rng, rates, wrong = np.random.default_rng(3), [], []
    for _ in range(300):
        shared = rng.standard_normal((9, 1, len(SEEDS)))
        drawn = (rng.standard_normal((9, 10, len(SEEDS))) - shared).reshape(90, -1) / np.sqrt(2)
        effects = np.where(np.arange(90) % 2, rng.choice([-1.5, 1.5], 90), 0.0)
        words, _ = judged(drawn + effects[:, None], PLANNED, 0.0)
        decided = words != OPEN
        false = decided & (words != np.where(effects > 0, HOLDS, "reversed"))
        wrong.append(false.sum())
        trusted = false_discoveries(90, int(decided.sum())) <= RATE
        rates.append(false.sum() / max(1, decided.sum()) if trusted else 0.0)
    with capsys.disabled():
        print(f"\nof 90 claims {np.mean(wrong):.2f} are decided wrongly, half of them null:")
        print(f"a false discovery rate of {100 * np.mean(rates):.1f} %")
    assert np.mean(wrong) <= 90 * LEVEL
    assert np.mean(rates) <= RATE


def test_where_all_claims_are_null_nearly_nothing_is_believed():
    assert false_discoveries(90, 0) == 0
    assert false_discoveries(90, 17) > RATE
    assert false_discoveries(90, 18) == pytest.approx(RATE)
