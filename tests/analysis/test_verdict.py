"""The statistics of verdicts, against scipy's."""

import math

import numpy as np
import pytest
from scipy import stats

from support.claims import parsed
from unlabel.analysis import verdict
from unlabel.analysis.verdict import FAILS, HOLDS, OPEN, holm, judge_claim

DRAWS = [
    ([0.021, 0.034, 0.018], 0.0),
    ([0.021, 0.034, 0.018], 0.03),
    ([-0.02, 0.01, -0.015, 0.001, -0.03], 0.0),
    ([-0.02, 0.01, -0.015, 0.001, -0.03], 0.02),
    ([0.4, 0.41, 0.39, 0.395], 0.01),
]


@pytest.mark.parametrize(("differences", "margin"), DRAWS)
def test_higher_is_students_test(differences, margin):
    found = judge_claim(parsed(higher="a", than="b", by=margin), "digits", differences)
    test = stats.ttest_1samp(differences, margin, alternative="greater")
    assert found.p_for == pytest.approx(test.pvalue)
    assert found.p_against == pytest.approx(1 - test.pvalue)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (found.effect.low, found.effect.high) == pytest.approx((low, high))


@pytest.mark.parametrize("differences", [d for d, _ in DRAWS])
@pytest.mark.parametrize("within", [0.01, 0.05, 1.0])
def test_same_is_two_one_sided_tests(differences, within):
    found = judge_claim(parsed(same="a", **{"as": "b"}, within=within), "digits", differences)

    def p(at, side):
        return stats.ttest_1samp(differences, at, alternative=side).pvalue

    assert found.p_for == pytest.approx(max(p(-within, "greater"), p(within, "less")))
    outside = min(1, 2 * min(p(within, "greater"), p(-within, "less")))
    assert found.p_against == pytest.approx(outside)
    # Two one-sided tests accept just where the 90 % interval lies inside the margin.
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert (found.p_for < 0.05) == (-within < low and high < within)


def test_pairing_by_seed_removes_what_the_seed_decides():
    seed = np.array([0.0, 0.1, 0.2, 0.3])
    noise = np.array([0.001, -0.001, 0.002, 0.0])
    claimed = parsed(higher="a", than="b")
    paired = judge_claim(claimed, "digits", list((seed + 0.01 + noise) - seed))
    assert paired.p_for == pytest.approx(
        stats.ttest_rel(seed + 0.01 + noise, seed, alternative="greater").pvalue
    )
    assert paired.p_for < 0.01 < stats.ttest_ind(seed + 0.01 + noise, seed).pvalue


def test_seeds_that_agree_wholly():
    assert judge_claim(parsed(higher="a", than="b"), "digits", [0.0] * 3).word == OPEN
    assert judge_claim(parsed(higher="a", than="b"), "digits", [0.1] * 3).word == HOLDS
    assert judge_claim(parsed(higher="a", than="b"), "digits", [-0.1] * 3).word == FAILS
    within = parsed(same="a", **{"as": "b"}, within=0.05)
    assert judge_claim(within, "digits", [0.0] * 3).word == HOLDS
    assert judge_claim(within, "digits", [0.1] * 3).word == FAILS


def test_a_statement_holds_if_all_its_claims_do():
    rng = np.random.default_rng(0)
    claimed = parsed(higher="a", than="b")
    for _ in range(50):
        judged = [
            judge_claim(claimed, "digits", list(rng.normal(rng.choice([-0.05, 0, 0.05]), 0.02, 5)))
            for _ in range(rng.integers(1, 5))
        ]
        found = verdict.verdict(judged)
        p_for = max(each.p_for for each in judged)
        p_against = min(1, len(judged) * min(each.p_against for each in judged))
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


def test_errors_are_as_rare_as_they_should_be():
    """Where nothing is true, at most one in twenty verdicts is wrong."""
    rng = np.random.default_rng(1)
    claimed = parsed(higher="a", than="b")
    words = [judge_claim(claimed, "digits", list(rng.normal(0, 1, 5))).word for _ in range(4000)]
    wrong = 1 - words.count(OPEN) / len(words)
    assert wrong < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(words))
    assert wrong > 0.03  # and they are no rarer than that costs
