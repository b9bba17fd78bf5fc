"""A linear classifier on frozen features: multinomial logistic regression."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from unlabel.features.split import Features
from unlabel.metric import Metric, accuracies
from unlabel.probe import Probe, balanced_accuracy
from unlabel.probe._axes import axes
from unlabel.probe._regression import Measured, measure
from unlabel.ranges import Positive


class Linear(Probe):
    """Accuracy of a linear classifier; the validation split chooses its weight decay.

    L-BFGS minimises the mean cross-entropy + l2 / 2 |W|². The features are standardised by `train`;
    the search ends when a step lowers the loss by less than `tolerance`. If the standardised
    features of a split would need 2 GiB or more, they are computed anew in each pass.
    """

    def __init__(
        self,
        l2: Sequence[Positive] = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        tolerance: Positive = 1e-5,
    ):
        self.l2, self.tolerance = l2, tolerance

    def metrics(self) -> Iterable[Metric]:
        yield from accuracies("linear", "linear accuracy", labels=True)
        yield balanced_accuracy("linear", "linear accuracy")
        yield Metric("linear_l2", "weight decay of the linear classifier", labels=True)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`linear`, `validation_linear` and the chosen `linear_l2`, on h.

        Also `balanced_linear`, the mean over classes.
        """
        parts = [part.h for part in (features.train, features.validation, features.test)]
        found = self._found(features, parts)
        return _named(found, "") | {"balanced_linear": found.balanced}

    def of(self, features: Features, parts: Sequence[Tensor], suffix: str) -> dict[str, float]:
        """Accuracies on other vectors of the three splits, (N, D) each; the names have a suffix."""
        return _named(self._found(features, parts), suffix)

    def _found(self, features: Features, parts: Sequence[Tensor]) -> Measured:
        splits = (features.train, features.validation, features.test)
        rows = [split.labelled_rows() for split in splits]
        turned = axes(parts[0], rows[0])
        train, validation, test = (
            (turned(part, known), split.label if known is None else split.label[known])
            for part, known, split in zip(parts, rows, splits, strict=True)
        )
        return measure(train, validation, test, len(features.classes), self.l2, self.tolerance)


def _named(found: Measured, suffix: str) -> dict[str, float]:
    return {
        f"linear{suffix}": found.test,
        f"validation_linear{suffix}": found.validation,
        f"linear_l2{suffix}": found.l2,
    }
