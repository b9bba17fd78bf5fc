"""Means, intervals and differences."""

import pytest

from unlabel.analysis.estimate import Estimate, difference, estimate


def test_interval_is_students():
    found = estimate([1.0, 2.0, 4.0])
    # mean 7/3, deviation √(7/3), and 4.30265 is t's 97.5 % quantile for 2 degrees of freedom
    assert found is not None
    assert found.mean == pytest.approx(7 / 3)
    assert found.interval == pytest.approx(4.30265273 * (7 / 3) ** 0.5 / 3**0.5)
    assert found.n == 3


def test_interval_of_few_values():
    assert estimate([]) is None
    assert estimate([0.4]) == Estimate(0.4, None, 1)
    assert estimate([0.4, 0.4, 0.4]) == Estimate(0.4, 0.0, 3)


def test_difference_pairs_seeds():
    found = difference({0: 0.5, 1: 0.7, 5: 0.1}, {1: 0.6, 0: 0.4, 2: 0.9})
    assert found is not None
    assert found.n == 2
    assert found.mean == pytest.approx(0.1)
    assert found.interval == pytest.approx(0.0, abs=1e-12)
    assert difference({0: 0.5}, {1: 0.5}) is None
