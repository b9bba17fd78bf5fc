"""Which factors of variation features tell."""

from dataclasses import replace

from support.clouds import clouds
from unlabel.probe.factors import Factors


def test_factors_are_told_from_those_that_do_not_show():
    measures = Factors(images=300).measure(clouds(), 0)
    assert {"linear_hue", "validation_linear_hue", "linear_size"} < measures.keys()
    assert measures["linear_hue"] > 0.9
    assert measures["linear_size"] < 0.5  # chance is 1 / 3
    assert Factors().measure(replace(clouds(), factors={}), 0) == {}
    unknown = clouds().test
    unknown.factor[:, 0] = -1
    assert "linear_hue" not in Factors().measure(replace(clouds(), test=unknown), 0)
    few = [Factors(images=20).measure(clouds(), seed) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    assert few[0]["linear_hue"] < measures["linear_hue"]
