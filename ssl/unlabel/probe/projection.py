"""How much of a representation survives the projector."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from unlabel.features.split import Features
from unlabel.metric import Metric, accuracies
from unlabel.probe import Probe
from unlabel.probe.factors import Factors
from unlabel.probe.linear import Linear
from unlabel.ranges import Count, Positive


class Projection(Probe):
    """The linear classifiers of `Linear` and `Factors`, before and after the projector.

    Both are fitted to the same random training images, as z may be long. The seed alone chooses
    them.
    """

    labels = False  # factors can do without

    def __init__(
        self, images: Count, l2: Sequence[Positive], tolerance: Positive, factors: Factors
    ):
        self.images, self.linear, self.factors = images, Linear(l2, tolerance), factors

    def metrics(self) -> Iterable[Metric]:
        title = "linear accuracy for {factor}, on z"
        yield from accuracies("linear_z_{factor}", title, projector=True)
        for x in ("h", "z"):
            title, decay = f"linear accuracy, on {x}", f"weight decay of the classifier, on {x}"
            yield from accuracies(f"linear_{x}", title, labels=True, projector=True)
            yield Metric(f"linear_l2_{x}", decay, labels=True, projector=True)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`linear_h` and `linear_z`, with `validation_` and `linear_l2_`; `linear_z_FACTOR`.

        A method without a projector has nothing to measure.
        """
        features = replace(features, train=features.projected())
        z = [each.z for each in (features.train, features.validation, features.test)]
        parts = [each for each in z if each is not None]
        if len(parts) < 3:
            return {}
        measures = self.factors.of(features, parts, "linear_z", seed)
        if features.labelled:
            train, rows = features.train, features.train.labelled_rows()
            train = train.some(self.images, seed, "projection", rows)
            few = replace(features, train=train)
            for name in ("h", "z"):
                vectors = [getattr(each, name) for each in (few.train, few.validation, few.test)]
                measures |= self.linear.of(few, vectors, f"_{name}")
        return measures
