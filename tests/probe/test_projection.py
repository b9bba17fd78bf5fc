"""The projection, measured as the representation is."""

from dataclasses import replace

from support.clouds import PROJECTION, clouds, projection
from unlabel.probe.factors import Factors
from unlabel.probe.linear import Linear


def test_the_projection_is_measured_as_the_representation_is():
    measured = clouds()
    parts = [
        each._replace(h=each.z) for each in (measured.train, measured.validation, measured.test)
    ]
    as_h = replace(measured, train=parts[0], validation=parts[1], test=parts[2])
    expected = {
        "linear_h": Linear().measure(measured, 3)["linear"],
        "linear_z": Linear().measure(as_h, 3)["linear"],
        "validation_linear_z": Linear().measure(as_h, 3)["validation_linear"],
        "linear_z_hue": Factors(images=99).measure(as_h, 3)["linear_hue"],
        "validation_linear_z_size": Factors(images=99).measure(as_h, 3)["validation_linear_size"],
    }
    measures = PROJECTION.measure(measured, 3)
    assert {name: round(measures[name], 2) for name in expected} == {
        name: round(value, 2) for name, value in expected.items()
    }
    assert PROJECTION.measure(clouds(projector=False), 3) == {}


def test_the_projection_is_compared_on_some_images():
    few = [projection(30).measure(clouds(), seed)["linear_h"] for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    assert few[0] < PROJECTION.measure(clouds(), 0)["linear_h"]
