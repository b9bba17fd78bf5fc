"""Unsupervised Feature Learning via Non-Parametric Instance Discrimination. arXiv:1805.01978"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.features.parquet import Features
from unlabel.metric import Metric, accuracies
from unlabel.nn.nearest import nearest
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
        bank, validation, test = (
            part.labelled() for part in (features.train, features.validation, features.test)
        )
        right = vote(bank.h, bank.label, test.h, self.k, self.temperature) == test.label
        return {
            "validation_knn": self.accuracy(bank.h, bank.label, validation.h, validation.label),
            "knn": right.double().mean().item(),
            "balanced_knn": balanced(right, test.label),
        }

    def accuracy(self, bank: Tensor, label: Tensor, query: Tensor, truth: Tensor) -> float:
        """Features (N, D), their labels (N,), queries (M, D), their labels (M,) -> a share."""
        votes = vote(bank, label, query, self.k, self.temperature)
        return (votes == truth).double().mean().item()


def vote(bank: Tensor, label: Tensor, query: Tensor, k: int, temperature: float) -> Tensor:
    """The class of each query: bank (N, D), its labels (N,), queries (M, D) -> (M,).

    Section 3.4: each of the k nearest has the weight exp(s / T), s being the cosine similarity.
    """
    k, classes = min(k, len(bank)), int(label.max()) + 1
    # Blocks of queries bound the memory. On a CPU their similarities should fit the cache, but of
    # fewer queries the product is slower: for a bank of 60,000, of 64 by a quarter.
    block = max(192, (1 << (22 if bank.device.type == "cpu" else 27)) // len(bank))
    votes = []
    length = bank.norm(dim=1).clamp(min=1e-12)
    for part in query.split(block):
        similarity, index = nearest(F.normalize(part, dim=1), bank, k, length)
        weight = (similarity / temperature).exp()
        one_hot = F.one_hot(label[index], classes).to(weight)  # (B, k, classes)
        votes.append((weight[:, None] @ one_hot).squeeze(1).argmax(1))
    return torch.cat(votes)
