"""Multinomial logistic regression."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.nn.blocks import size
from unlabel.nn.lbfgs import minimum
from unlabel.probe import balanced
from unlabel.probe._axes import Turned

Labelled = tuple[Turned, Tensor]  # N features, their labels (N,)


class Classifier(NamedTuple):
    """A linear classifier, and how it was chosen."""

    weight: Tensor  # (classes, D + 1)
    l2: float
    accuracy: float  # on the validation split


class Measured(NamedTuple):
    """What `measure` finds."""

    test: float  # accuracies
    validation: float
    l2: float
    balanced: float  # on the test split


def measure(
    train: Labelled,
    validation: Labelled,
    test: Labelled,
    classes: int,
    l2: Sequence[float],
    tolerance: float,
) -> Measured:
    """Fit a classifier to `train`, choose its `l2` by `validation`, and measure it by `test`."""
    best = choose(*train, *validation, classes, l2, tolerance)
    right = hits(best.weight, *test)
    share = right.double().mean().item()
    return Measured(share, best.accuracy, best.l2, balanced(right, test[1]))


def choose(
    train: Turned,
    label: Tensor,
    validation: Turned,
    truth: Tensor,
    classes: int,
    l2: Sequence[float],
    tolerance: float,
) -> Classifier:
    """The classifier whose `l2` gives the best validation accuracy; in a tie the strongest `l2`.

    N features and their labels (N,) to train on, and M and (M,) to choose by.
    """
    sums = class_sums(train, label, classes)
    weight = torch.zeros_like(sums)
    found = []
    for strength in sorted(l2, reverse=True):  # each begins where a stronger one has ended
        weight = fit(train, sums, strength, weight, tolerance)
        found.append(Classifier(weight, strength, accuracy(weight, validation, truth)))
    return max(found, key=lambda each: each.accuracy)


def fit(x: Turned, sums: Tensor, l2: float, start: Tensor, tolerance: float) -> Tensor:
    """The weights (classes, D + 1) that minimise `loss`, by L-BFGS from the weights `start`."""
    # In units in which the loss is about equally curved along all axes.
    unit = (curvature(start, x) + l2).rsqrt()

    def scaled(weight: Tensor) -> tuple[float, Tensor]:
        value, gradient = loss(weight * unit, x, sums, l2)
        return value, gradient * unit

    return minimum(scaled, start / unit, tolerance) * unit


def loss(weight: Tensor, x: Turned, sums: Tensor, l2: float) -> tuple[float, Tensor]:
    """Mean cross-entropy + l2 / 2 |W|², and its gradient; the bias does not decay.

    Weights (C, D + 1), N features, their `class_sums` (C, D + 1) -> (), (C, D + 1).
    """
    # The sum over images of log(sum over classes of exp(logit)) - logit of the label. Classes come
    # first and the labels' part is summed beforehand: four times as fast on a CPU.
    total = torch.zeros((), dtype=torch.float64, device=sums.device)
    gradient = -sums
    for part in x.blocks():
        logits = weight @ part
        normaliser = logits.logsumexp(0)
        total += normaliser.sum()
        gradient.addmm_(logits.sub_(normaliser).exp_(), part.T)
    total -= (weight.double() * sums).sum()
    decay = torch.cat([l2 * weight[:, :-1], torch.zeros_like(weight[:, -1:])], 1)
    value = total / len(x) + (weight * decay).sum() / 2
    return value.item(), gradient / len(x) + decay


def curvature(weight: Tensor, x: Turned) -> Tensor:
    """The diagonal of the cross-entropy's Hessian: (C, D + 1), N features -> (C, D + 1)."""
    total = torch.zeros_like(weight)
    for part in x.blocks():
        p = (weight @ part).softmax(0)
        total.addmm_(p * (1 - p), part.square().T)
    return total / len(x)


def class_sums(x: Turned, label: Tensor, classes: int) -> Tensor:
    """The sum of each class's features: N, (N,) -> (C, D + 1)."""
    sums = x.x.new_zeros(classes, x.x.shape[1] + 1)
    for part, of in zip(x.blocks(), label.split(size(x.x)), strict=True):
        sums.addmm_(F.one_hot(of, classes).T.to(part), part.T)
    return sums


def accuracy(weight: Tensor, x: Turned, label: Tensor) -> float:
    """The share that is classified right: (C, D + 1), N features, (N,) -> ()."""
    return hits(weight, x, label).double().mean().item()


def hits(weight: Tensor, x: Turned, label: Tensor) -> Tensor:
    """Which are classified right: (C, D + 1), N features, (N,) -> bool (N,)."""
    return guesses(weight, x) == label


def guesses(weight: Tensor, x: Turned) -> Tensor:
    """The likeliest classes: (C, D + 1), N features -> (N,)."""
    return torch.cat([(weight @ part).argmax(0) for part in x.blocks()])
