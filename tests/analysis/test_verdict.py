"""The statistics of verdicts, against scipy's."""

import numpy as np
import pytest
from scipy import stats

from support.claims import parsed
from unlabel.analysis.judged_claim import (
    DIFFERS,
    FALLS_SHORT,
    HOLDS,
    NO_DIFFERENCE,
    OPEN,
    REVERSED,
    judge_claim,
)
from unlabel.analysis.looks import LEVEL, looks
from unlabel.analysis.verdict import FAILS, IN_PART, grade, holm, strict

DRAWS = [
    ([0.021, 0.034, 0.018], 0.0),
    ([0.021, 0.034, 0.018], 0.03),
    ([-0.02, 0.01, -0.015, 0.001, -0.03], 0.0),
    ([-0.02, 0.01, -0.015, 0.001, -0.03], 0.02),
    ([0.4, 0.41, 0.39, 0.395], 0.01),
]


def once(claimed, differences, margin=None):
    """Judged at a single look."""
    seeds = dict(enumerate(differences))
    return judge_claim(claimed, "digits", seeds, looks(list(seeds), [len(seeds)]), margin)


@pytest.mark.parametrize(("differences", "bound"), DRAWS)
def test_higher_is_students_test(differences, bound):
    found = once(parsed(higher="a", than="b", by=bound), differences)
    test = stats.ttest_1samp(differences, bound, alternative="greater")
    assert found.p == pytest.approx((test.pvalue, 1 - test.pvalue))
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(1 - LEVEL)
    assert (found.effect.low, found.effect.high) == pytest.approx((low, high))
    assert (found.word == HOLDS) == (test.pvalue < LEVEL / 2)


@pytest.mark.parametrize("differences", [d for d, _ in DRAWS])
@pytest.mark.parametrize("within", [0.01, 0.05, 1.0])
def test_same_is_two_one_sided_tests(differences, within):
    found = once(parsed(same="a", **{"as": "b"}, within=within), differences)

    def p(at, side):
        return stats.ttest_1samp(differences, at, alternative=side).pvalue

    inside = max(p(-within, "greater"), p(within, "less"))
    outside = min(1, 2 * min(p(within, "greater"), p(-within, "less")))
    assert found.p == pytest.approx((inside, outside))
    assert (found.word == HOLDS) == (inside < LEVEL / 2)
    assert (found.word == DIFFERS) == (outside < LEVEL)
    # and it is how no difference is seen where one was claimed
    claimed = once(parsed(higher="a", than="b"), differences, margin=within).word
    assert claimed in (HOLDS, REVERSED) or (claimed == NO_DIFFERENCE) == (inside < LEVEL / 2)


def test_pairing_by_seed_removes_what_the_seed_decides():
    seed = np.array([0.0, 0.1, 0.2, 0.3])
    noise = np.array([0.001, -0.001, 0.002, 0.0])
    claimed = parsed(higher="a", than="b")
    paired = once(claimed, list((seed + 0.01 + noise) - seed)).p[0]
    assert paired == pytest.approx(
        stats.ttest_rel(seed + 0.01 + noise, seed, alternative="greater").pvalue
    )
    assert paired < 0.01 < stats.ttest_ind(seed + 0.01 + noise, seed).pvalue


def test_seeds_that_agree_wholly():
    higher, within = parsed(higher="a", than="b"), parsed(same="a", **{"as": "b"}, within=0.05)
    assert once(higher, [0.0] * 3).word == OPEN
    assert once(higher, [0.0] * 3, margin=0.01).word == NO_DIFFERENCE
    assert once(higher, [0.1] * 3).word == HOLDS
    assert once(higher, [-0.1] * 3).word == REVERSED
    assert once(within, [0.0] * 3).word == HOLDS
    assert once(within, [0.1] * 3).word == DIFFERS


@pytest.mark.parametrize(
    ("by", "mean", "margin", "word"),
    [
        (0.05, 0.06, 0.01, HOLDS),
        (0.05, 0.03, 0.01, FALLS_SHORT),
        (0.05, 0.001, 0.01, NO_DIFFERENCE),
        (0.05, -0.03, 0.01, REVERSED),
        (0.05, 0.05, 0.01, OPEN),
        (0.0, 0.005, 0.01, HOLDS),  # smaller than the margin, and yet not zero
        (0.0, 0.0001, 0.01, NO_DIFFERENCE),
        (0.0, 0.0001, None, OPEN),  # nobody has said what counts as no difference
        (-0.01, 0.0001, 0.02, HOLDS),  # at most a point worse
        (-0.01, -0.02, 0.05, REVERSED),
    ],
)
def test_a_word_is_where_the_interval_lies(by, mean, margin, word):
    spread = np.array([-0.001, 0.001, 0.0, -0.0005, 0.0005, 0.0])
    claimed = parsed(higher="a", than="b", by=by)
    assert once(claimed, list(mean + spread), margin).word == word


def test_a_decided_claim_keeps_its_word():
    claimed, planned = parsed(higher="a", than="b"), looks(range(9), [3, 6, 9])
    clear, later = [0.1, 0.101, 0.102], [-5.0, 5.0, 0.0, 1.0, -1.0, 2.0]
    found = judge_claim(claimed, "digits", dict(enumerate(clear + later)), planned)
    assert (found.word, list(found.differences)) == (HOLDS, [0, 1, 2])
    found = judge_claim(claimed, "digits", dict(enumerate(later + clear)), planned)
    assert (found.word, len(found.differences)) == (OPEN, 9)
    assert found.look.confidence == pytest.approx(1 - LEVEL * found.look.share)
    assert sum(look.share for look in planned) == pytest.approx(1)


def test_as_many_seeds_as_are_needed_decide():
    claimed, drawn = parsed(higher="a", than="b"), [0.01, -0.01, 0.02, 0.0, 0.01]
    found = once(claimed, drawn, 0.01)
    assert found.word == OPEN
    needed = found.seeds_needed()
    mean, deviation = np.mean(drawn), np.std(drawn, ddof=1)
    for n, word in ((needed, HOLDS), (needed - 1, OPEN)):
        like = np.random.default_rng(0).normal(size=n)
        like = mean + deviation * (like - like.mean()) / like.std(ddof=1)
        assert once(claimed, list(like), 0.01).word == word
    assert once(claimed, [1.0, -1.0, 0.0]).seeds_needed() is None


@pytest.mark.parametrize(
    ("words", "verdict", "text"),
    [
        ([HOLDS, HOLDS], HOLDS, "holds"),
        ([HOLDS, REVERSED], IN_PART, "holds in part (1 of 2)"),
        ([HOLDS, HOLDS, OPEN], IN_PART, "holds in part (2 of 3)"),
        ([NO_DIFFERENCE, OPEN], FAILS, "does not hold"),
        ([FALLS_SHORT, DIFFERS], FAILS, "does not hold"),
        ([OPEN, OPEN], OPEN, "open"),
    ],
)
def test_a_statement_is_graded_from_its_claims(words, verdict, text):
    found = grade(words)
    assert (found.word, found.text) == (verdict, text)


def test_strictly_all_claims_must_hold():
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = rng.beta(0.1, 0.1, rng.integers(1, 5)).tolist()
        p = [(each, 1 - each) for each in drawn]
        found = strict(p)
        p_for = max(each for each, _ in p)
        p_against = min(1, len(p) * min(each for _, each in p))
        assert (found.p_for, found.p_against) == (p_for, p_against)
        assert found.p == min(1, 2 * min(p_for, p_against))
        words = {HOLDS: p_for < 0.025, FAILS: p_against < 0.025}
        assert found.word == next((word for word, true in words.items() if true), OPEN)


def test_holm_against_a_transcription():
    """Step down: the smallest is compared with alpha / m, the next with alpha / (m - 1), ..."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.uniform(size=rng.integers(1, 8)) ** 3
        corrected = holm(p.tolist())
        for alpha in (0.01, 0.05, 0.2):
            rejected, m = set(), len(p)
            for rank, at in enumerate(np.argsort(p)):
                if p[at] > alpha / (m - rank):
                    break
                rejected.add(int(at))
            assert {at for at in range(m) if corrected[at] <= alpha} == rejected
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
