"""What a representation says about an image beside its class: each factor of a dataset."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.features.split import Features, Split
from unlabel.metric import Metric, accuracies
from unlabel.probe import Probe
from unlabel.probe._axes import Turned, axes
from unlabel.probe._regression import Labelled, measure
from unlabel.ranges import Count, Positive
from unlabel.seeds import generator


class Factors(Probe):
    """Accuracy of a linear classifier of each factor, fitted to some of the training images.

    The seed alone chooses the images, so all methods are compared on the same ones.
    """

    labels = False  # a factor is no class

    def __init__(
        self,
        images: Count = 10_000,
        l2: Sequence[Positive] = (1e-2, 1e-4, 1e-6),
        tolerance: Positive = 1e-5,
    ):
        self.images, self.l2, self.tolerance = images, l2, tolerance

    def metrics(self) -> Iterable[Metric]:
        return accuracies("linear_{factor}", "linear accuracy for {factor}")

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """For each factor `linear_FACTOR` and `validation_linear_FACTOR` on h.

        A factor is left out if a split has no image for which it is known.
        """
        parts = [each.h for each in (features.train, features.validation, features.test)]
        return self.of(features, parts, "linear", seed)

    def of(
        self, features: Features, parts: Sequence[Tensor], name: str, seed: int
    ) -> dict[str, float]:
        """The same on other vectors of the three splits, (N, D) each, as `NAME_FACTOR`."""
        if not features.factors:
            return {}
        order = torch.randperm(len(parts[0]), generator=generator(seed, "factors"))
        rows = order[: self.images].to(parts[0].device)
        turned = axes(parts[0], rows)
        x = [turned(parts[0], rows), *(turned(part) for part in parts[1:])]
        splits = (features.train.take(rows), features.validation, features.test)
        measures = {}
        for place, (factor, values) in enumerate(features.factors.items()):
            train, validation, test = (
                _known(each, split, place) for each, split in zip(x, splits, strict=True)
            )
            if all(len(label) for _, label in (train, validation, test)):
                found = measure(train, validation, test, len(values), self.l2, self.tolerance)
                measures[f"{name}_{factor}"] = found.test
                measures[f"validation_{name}_{factor}"] = found.validation
        return measures


def _known(x: Turned, split: Split, place: int) -> Labelled:
    """Those whose factor is known, and its values."""
    label = split.factor[:, place]
    known = label != UNLABELLED
    return (x, label) if known.all() else (x.take(known), label[known])
