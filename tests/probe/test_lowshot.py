"""Few labels."""

from dataclasses import replace

import pytest

from support.clouds import clouds
from unlabel.errors import UserError
from unlabel.probe.lowshot import LowShot


def test_a_share_of_the_labels_is_of_all_there_are_not_of_those_with_features():
    everything = clouds()
    known = int((everything.train.label >= 0).sum())
    half = replace(everything, labels=2 * known)  # `train` has half the images with a label
    expected = LowShot([0.2]).measure(everything, 0)
    assert LowShot([0.1]).measure(half, 0) == {
        name.replace("20", "10"): value for name, value in expected.items()
    }
    with pytest.raises(UserError, match="set features.images to more, to null for all, or give a"):
        LowShot([0.6]).measure(half, 0)


def test_lowshot_draws_by_the_seed():
    few = LowShot(fractions=[0.1], draws=2, l2=[1e-2])
    first, again, other = (few.measure(clouds(), seed) for seed in (0, 0, 1))
    assert first == again != other
