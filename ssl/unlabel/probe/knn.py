"""Unsupervised Feature Learning via Non-Parametric Instance Discrimination. arXiv:1805.01978"""

from collections.abc import Iterable

from torch import Tensor

from unlabel.features.split import Features
from unlabel.metric import Metric, accuracies
from unlabel.nn.nearest import vote
from unlabel.probe import Probe, balanced, balanced_accuracy
from unlabel.ranges import Count, Positive


class KNN(Probe):
    """Accuracy of a weighted vote of the k nearest labelled training images."""

    def __init__(self, k: Count = 200, temperature: Positive = 0.07):
        self.k, self.temperature = k, temperature

    def metrics(self) -> Iterable[Metric]:
        yield from accuracies("knn", "kNN accuracy", labels=True)
        yield balanced_accuracy("knn", "kNN accuracy")

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`knn`, `validation_knn`, and `balanced_knn`, the mean over classes; on h."""
        bank = features.train
        validation, test = features.validation.labelled(), features.test.labelled()
        right = vote(bank.h, bank.label, test.h, self.k, self.temperature) == test.label
        return {
            "validation_knn": self.accuracy(bank.h, bank.label, validation.h, validation.label),
            "knn": right.double().mean().item(),
            "balanced_knn": balanced(right, test.label),
        }

    def accuracy(self, bank: Tensor, label: Tensor, query: Tensor, truth: Tensor) -> float:
        """Features (N, D), labels (N,), queries (M, D), their labels (M,) -> a share.

        Features with the label -1 have no vote.
        """
        votes = vote(bank, label, query, self.k, self.temperature)
        return (votes == truth).double().mean().item()
