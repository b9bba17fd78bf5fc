"""The spectrum's measures, against plain loops."""

import math

import numpy as np

from support.clouds import clouds
from unlabel.probe.spectrum import Spectrum


def test_spectrum_is_of_the_validation_split():
    measured = clouds()
    measures = Spectrum(images=100, pairs=50).measure(measured, 0)
    x = measured.validation.h[:100]
    values = np.linalg.svd(x.double().numpy(), compute_uv=False)
    share = [value / sum(values) + 1e-7 for value in values]
    rank = math.exp(-sum(p * math.log(p) for p in share))
    assert math.isclose(measures["effective_rank"], rank, rel_tol=1e-4)
    unit = [[value / math.hypot(*row) for value in row] for row in x[:50].tolist()]
    pairs = [math.dist(unit[i], unit[j]) for i in range(50) for j in range(i)]
    expected = math.log(sum(math.exp(-2 * d * d) for d in pairs) / len(pairs))
    assert math.isclose(measures["uniformity"], expected, rel_tol=1e-4)
    assert measures["alignment"] == 0  # the two views are one
    assert {"effective_rank_z", "deviation", "deviation_z", "uniformity_z"} < measures.keys()
    assert "deviation_z" not in Spectrum().measure(clouds(projector=False), 0)
