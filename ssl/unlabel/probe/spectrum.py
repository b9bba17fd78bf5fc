"""Measures of features that need no labels."""

from collections.abc import Iterable

from unlabel.features.split import ALL, Features
from unlabel.metric import Metric
from unlabel.nn import spectrum
from unlabel.probe import Probe
from unlabel.ranges import Count


class Spectrum(Probe):
    """Rank, spread and invariance of the validation split's features.

    Validation and not test, so that they may be used to choose a method.
    """

    labels = False
    least = 2  # it compares images

    def __init__(self, images: Count = 10_000, pairs: Count = 2000):
        self.images, self.pairs = images, pairs

    def metrics(self) -> Iterable[Metric]:
        yield Metric("alignment", "alignment")
        for suffix, on, projector in (("", "", False), ("_z", ", on z", True)):
            for name in ("effective_rank", "deviation", "uniformity"):
                title = f"{name.replace('_', ' ')}{on}"
                yield Metric(f"{name}{suffix}", title, projector=projector)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`effective_rank`, `deviation`, `uniformity`, the same on z: `_z`; `alignment` of h.

        They use the first `images` images; uniformity compares all pairs, so the first `pairs`.
        """
        views = features.views[ALL]
        measures = {"alignment": float(spectrum.alignment(views.h, views.h_))}
        for suffix, x in (("", features.validation.h), ("_z", features.validation.z)):
            if x is not None:
                x = x[: self.images]
                measures[f"effective_rank{suffix}"] = float(spectrum.effective_rank(x))
                measures[f"deviation{suffix}"] = float(spectrum.deviation(x))
                measures[f"uniformity{suffix}"] = float(spectrum.uniformity(x[: self.pairs]))
        return measures
