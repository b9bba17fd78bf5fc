"""What the projector leaves of a representation."""

from collections.abc import Sequence

from unlabel.features import Features
from unlabel.probe import Probe
from unlabel.probe.factors import Factors
from unlabel.probe.linear import Linear


class Projection(Probe):
    """The linear classifiers of `Linear` and `Factors`, on the projector's output z."""

    labels = False  # factors can do without

    def __init__(self, l2: Sequence[float], tolerance: float, factors: Factors):
        self.linear, self.factors = Linear(l2, tolerance), factors

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`linear_z`, `validation_linear_z`, `linear_l2_z`; of each factor `linear_z_FACTOR`.

        Of a method without a projector there is nothing to measure.
        """
        z = [each.z for each in (features.train, features.validation, features.test)]
        parts = [each for each in z if each is not None]
        if len(parts) < 3:
            return {}
        measures = self.linear.of(features, parts, "_z") if features.labelled else {}
        return measures | self.factors.of(features, parts, "linear_z", seed)
