"""How much one view says of the other: InfoNCE's bound on their mutual information."""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.features.split import ALL, Features, Split
from unlabel.metric import Metric
from unlabel.nn.losses import cosine_similarities
from unlabel.probe import Probe
from unlabel.ranges import Count, Positive
from unlabel.seeds import generator


class Information(Probe):
    """Bounds from pairs that training has not seen, with fresh candidates.

    The critic is the cosine similarity / T of what the loss compares: z, or h without a projector.
    Other pairs than those of the bound choose T. Any critic gives a bound, a better one a tighter.
    """

    labels = False

    def __init__(self, candidates: Sequence[Count], temperatures: Sequence[Positive]):
        self.candidates, self.temperatures = candidates, temperatures

    def metrics(self) -> Iterable[Metric]:
        for n in self.candidates:
            title = f"bound on the mutual information of {{}}, {n} candidates"
            yield Metric(f"information_{n}", title.format("two views"), unit="nats")
            title = title.format("two images of a class")
            yield Metric(f"class_information_{n}", title, unit="nats", labels=True)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`information_N` of two views of a validation image; half of the pairs choose T.

        `class_information_N` of two test images of one class; validation images choose T. Where
        there are fewer than N pairs, the number is left out.
        """
        views = features.views[ALL]
        x, y = (views.h, views.h_) if views.z is None or views.z_ is None else (views.z, views.z_)
        half = len(x) // 2
        measures = self._bounds("information", (x[:half], y[:half]), (x[half:], y[half:]))
        if features.labelled:
            choose, judge = classmates(features.validation, seed), classmates(features.test, seed)
            measures |= self._bounds("class_information", choose, judge)
        return measures

    def _bounds(
        self, name: str, choose: tuple[Tensor, Tensor], judge: tuple[Tensor, Tensor]
    ) -> dict[str, float]:
        found = {}
        for n in self.candidates:
            if n <= min(len(choose[0]), len(judge[0])):
                tried = [(bound(*choose, n, t), t) for t in self.temperatures]
                found[f"{name}_{n}"] = bound(*judge, n, max(tried)[1])
        return found


def bound(first: Tensor, second: Tensor, candidates: int, temperature: float) -> float:
    """log N - L in nats (arXiv:1807.03748, section 2.3): pairs (n, D), (n, D), N candidates.

    The candidates of a pair are the N second halves of its block: its own, and those of other
    pairs. Pairs that do not fill a last block are left out.
    """
    losses = []
    for start in range(0, len(first) - candidates + 1, candidates):
        block = slice(start, start + candidates)
        logits = cosine_similarities(first[block], second[block]) / temperature
        losses.append(F.cross_entropy(logits, torch.arange(candidates, device=logits.device)))
    return math.log(candidates) - float(torch.stack(losses).mean())


def classmates(split: Split, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of different images of one class, each image in one pair, in random order.

    The first and second halves, (n, D) each, of z, or of h without a projector.
    """
    x = split.h if split.z is None else split.z
    draw = generator(seed, "classmates")
    order = torch.randperm(len(x), generator=draw).to(x.device)
    order = order[split.label[order] != UNLABELLED]
    order = order[split.label[order].argsort(stable=True)]  # class by class
    label = split.label[order]
    place = torch.arange(len(order), device=x.device) - torch.searchsorted(label, label)
    last = torch.searchsorted(label, label, right=True) - torch.searchsorted(label, label)
    first = (place % 2 == 0) & (place + 1 < last)
    pairs = first.nonzero().flatten()
    pairs = pairs[torch.randperm(len(pairs), generator=draw).to(x.device)]
    return x[order[pairs]], x[order[pairs + 1]]
