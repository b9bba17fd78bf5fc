"""How well images of the same class are found by their features."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.features.split import Features, Split
from unlabel.metric import Metric, accuracies
from unlabel.probe import Probe
from unlabel.ranges import Count
from unlabel.seeds import generator

BLOCK = 1 << 22  # similarities at a time


class Retrieval(Probe):
    """Mean average precision and recall@k: queries of a split, searched for in the training images.

    Images rank by cosine similarity; those of the query's class are the right answers. Recall@k is
    the share of queries with a right answer among the first k (arXiv:2003.08505, section 2). The
    seed alone chooses queries and images.
    """

    def __init__(
        self, queries: Count = 1000, images: Count = 10_000, recall: Sequence[Count] = (1, 5, 10)
    ):
        self.queries, self.images, self.recall = queries, images, recall

    def metrics(self) -> Iterable[Metric]:
        yield from accuracies("retrieval_map", "retrieval, mean average precision", labels=True)
        for k in self.recall:
            yield from accuracies(f"retrieval_recall_{k}", f"retrieval, recall@{k}", labels=True)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`retrieval_map` and `retrieval_recall_K`, and the same with `validation_`."""
        bank = shuffled(features.train, self.images, seed)
        measures = {}
        for name, split in (("", features.test), ("validation_", features.validation)):
            query = shuffled(split, self.queries, seed)
            precision, recall = search(query, bank, self.recall)
            measures[f"{name}retrieval_map"] = precision
            for k, value in zip(self.recall, recall, strict=True):
                measures[f"{name}retrieval_recall_{k}"] = value
        return measures


def shuffled(split: Split, images: int, seed: int) -> Split:
    """Some labelled images in random order, so that equal features say nothing about the class."""
    rows = (split.label != UNLABELLED).nonzero().flatten()
    order = torch.randperm(len(rows), generator=generator(seed, "retrieval"))
    return split.take(rows[order[:images].to(rows.device)])


def search(query: Split, bank: Split, recall: Sequence[int]) -> tuple[float, list[float]]:
    """Mean average precision, and the recall at each k."""
    unit = F.normalize(bank.h, dim=1)
    precisions, firsts = [], []
    size = max(1, BLOCK // len(unit))
    for h, label in zip(query.h.split(size), query.label.split(size), strict=True):
        order = (F.normalize(h, dim=1) @ unit.T).argsort(stable=True, dim=1, descending=True)
        right = bank.label[order] == label[:, None]
        precisions.append(average_precision(right))
        firsts.append(right.int().argmax(1).masked_fill(~right.any(1), right.shape[1]))
    first = torch.cat(firsts)
    return (
        torch.cat(precisions).mean().item(),
        [(first < k).double().mean().item() for k in recall],
    )


def average_precision(right: Tensor) -> Tensor:
    """Of ranked answers, right or wrong: (B, N) -> (B,). The precision at each right one's rank.

    A query without a right answer has 0.
    """
    rank = torch.arange(1, right.shape[1] + 1, device=right.device)
    precision = right.cumsum(1) / rank.double()
    return (precision * right).sum(1) / right.sum(1).clamp(min=1)
