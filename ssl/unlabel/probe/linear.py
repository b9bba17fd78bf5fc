"""A linear classifier on frozen features: multinomial logistic regression."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.features.parquet import Features
from unlabel.metric import Metric, accuracies
from unlabel.probe import Probe, balanced, balanced_accuracy
from unlabel.ranges import Positive

Labelled = tuple[Tensor, Tensor]  # features (D + 1, N), their labels (N,)
MEMORY = 20  # steps from which L-BFGS knows the curvature


class Linear(Probe):
    """Accuracy of a linear classifier; the validation split chooses its weight decay.

    L-BFGS minimises the mean cross-entropy + l2 / 2 |W|². The features are standardised by `train`;
    the search ends when a step lowers the loss by less than `tolerance`.
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

    def _found(self, features: Features, parts: Sequence[Tensor]) -> "Measured":
        splits = (features.train, features.validation, features.test)
        known = [split.label != UNLABELLED for split in splits]
        x = [part if rows.all() else part[rows] for part, rows in zip(parts, known, strict=True)]
        turned = axes(x[0])
        train, validation, test = (
            (turned(part), split.label[rows])
            for part, split, rows in zip(x, splits, known, strict=True)
        )
        return measure(train, validation, test, len(features.classes), self.l2, self.tolerance)


class Measured(NamedTuple):
    """What `measure` finds."""

    test: float  # accuracies
    validation: float
    l2: float
    balanced: float  # on the test split


def _named(found: Measured, suffix: str) -> dict[str, float]:
    return {
        f"linear{suffix}": found.test,
        f"validation_linear{suffix}": found.validation,
        f"linear_l2{suffix}": found.l2,
    }


class Classifier(NamedTuple):
    """A linear classifier, and how it was chosen."""

    weight: Tensor  # (classes, D + 1)
    l2: float
    accuracy: float  # on the validation split


class Axes(NamedTuple):
    """A change of coordinates after which features have mean 0, deviation 1 and no correlation.

    Each feature is standardised and all are turned to their principal axes. The turn changes no
    |W| and so no solution, but lets the optimizer scale each axis: half the iterations.
    """

    mean: Tensor  # (D,)
    turn: Tensor  # (D, D)

    def __call__(self, x: Tensor) -> Tensor:
        """Features (N, D) -> (D + 1, N), of which the last row is 1s."""
        out = x.new_ones(x.shape[1] + 1, len(x))
        for part, into in zip(x.split(_block(x)), out.split(_block(x), 1), strict=True):
            into[:-1] = self.turn.T @ (part - self.mean).T
        return out

    def undo(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weights on the new coordinates (C, D + 1) -> the same classifier of features as they are.

        Its weights (C, D) and biases (C,).
        """
        turned = weight[:, :-1] @ self.turn.T
        return turned, weight[:, -1] - turned @ self.mean


def axes(x: Tensor) -> Axes:
    """The axes of features (N, D)."""
    zero = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    mean = (sum((part.double().sum(0) for part in x.split(_block(x))), zero[0]) / len(x)).to(x)
    covariance = zero
    for part in x.split(_block(x)):
        covariance = covariance + (part - mean).T @ (part - mean) / len(x)
    deviation = covariance.diagonal().sqrt()
    # A feature that is the same for all images stays zero.
    scale = torch.where(deviation > 1e-6 * deviation.max(), 1 / deviation, 0)
    vectors = torch.linalg.eigh(scale[:, None] * covariance * scale).eigenvectors
    return Axes(mean, (scale[:, None] * vectors).to(x))


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
    train: Tensor,
    label: Tensor,
    validation: Tensor,
    truth: Tensor,
    classes: int,
    l2: Sequence[float],
    tolerance: float,
) -> Classifier:
    """The classifier whose `l2` gives the best validation accuracy; in a tie the strongest `l2`.

    Features (D + 1, N) and labels (N,) to train on, and (D + 1, M) and (M,) to choose by.
    """
    sums = class_sums(train, label, classes)
    weight = torch.zeros_like(sums)
    found = []
    for strength in sorted(l2, reverse=True):  # each begins where a stronger one has ended
        weight = fit(train, sums, strength, weight, tolerance)
        found.append(Classifier(weight, strength, accuracy(weight, validation, truth)))
    return max(found, key=lambda each: each.accuracy)


def fit(x: Tensor, sums: Tensor, l2: float, start: Tensor, tolerance: float) -> Tensor:
    """The weights (classes, D + 1) that minimise `loss`, by L-BFGS from the weights `start`."""
    # In units in which the loss is about equally curved along all axes.
    unit = (curvature(start, x) + l2).rsqrt()

    def scaled(weight: Tensor) -> tuple[float, Tensor]:
        value, gradient = loss(weight * unit, x, sums, l2)
        return value, gradient * unit

    return minimum(scaled, start / unit, tolerance) * unit


def minimum(
    function: Callable[[Tensor], tuple[float, Tensor]], x: Tensor, tolerance: float
) -> Tensor:
    """Where a convex function, given with its gradient, is smallest; `x` is where to begin.

    L-BFGS (Nocedal and Wright, Numerical Optimization 2006, algorithms 7.4 and 7.5), halving each
    step until it lowers the function. torch's own L-BFGS takes two seconds to import.
    """
    value, gradient = function(x)
    pairs: deque[Pair] = deque(maxlen=MEMORY)
    while True:
        direction = -newton(gradient, pairs)
        slope = (gradient * direction).sum().item()
        if not -slope >= tolerance:  # nor if it is not a number
            return x
        below, there = function(x + direction)
        while not below <= value + 1e-4 * slope:
            direction, slope = direction / 2, slope / 2
            if not -slope >= tolerance:
                return x
            below, there = function(x + direction)
        x = x + direction
        pair = Pair.of(direction, there - gradient)
        if pair.product > 0:
            pairs.append(pair)
        if value - below < tolerance:
            return x
        value, gradient = below, there


class Pair(NamedTuple):
    """A past step (n,), its change of the gradient (n,), and their dot product ()."""

    step: Tensor
    change: Tensor
    product: Tensor

    @classmethod
    def of(cls, step: Tensor, change: Tensor) -> "Pair":
        """Of tensors of any shape."""
        step, change = step.flatten(), change.flatten()
        return cls(step, change, step.dot(change))


def newton(gradient: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """The inverse Hessian times `gradient`, from past steps and how each changed the gradient."""
    # These vectors are short, so what counts is the number of operations.
    q, scales = gradient.flatten(), []
    for step, change, product in reversed(pairs):
        scales.append(step.dot(q) / product)
        q = q.addcmul(scales[-1], change, value=-1)
    if pairs:
        _, change, product = pairs[-1]
        q = q * (product / change.dot(change))
    for step, change, product in pairs:
        q = q.addcmul(scales.pop() - change.dot(q) / product, step)
    return q.view_as(gradient)


def loss(weight: Tensor, x: Tensor, sums: Tensor, l2: float) -> tuple[float, Tensor]:
    """Mean cross-entropy + l2 / 2 |W|², and its gradient; the bias does not decay.

    Weights (C, D + 1), features with a 1 (D + 1, N), `class_sums` (C, D + 1) -> (), (C, D + 1).
    """
    # The sum over images of log(sum over classes of exp(logit)) - logit of the label. Classes come
    # first and the labels' part is summed beforehand: four times as fast on a CPU.
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    gradient = -sums
    for part in x.split(_block(x), 1):
        logits = weight @ part
        normaliser = logits.logsumexp(0)
        total += normaliser.sum()
        gradient.addmm_(logits.sub_(normaliser).exp_(), part.T)
    total -= (weight.double() * sums).sum()
    decay = torch.cat([l2 * weight[:, :-1], torch.zeros_like(weight[:, -1:])], 1)
    value = total / x.shape[1] + (weight * decay).sum() / 2
    return value.item(), gradient / x.shape[1] + decay


def curvature(weight: Tensor, x: Tensor) -> Tensor:
    """The diagonal of the cross-entropy's Hessian: (C, D + 1), (D + 1, N) -> (C, D + 1)."""
    total = torch.zeros_like(weight)
    for part in x.split(_block(x), 1):
        p = (weight @ part).softmax(0)
        total.addmm_(p * (1 - p), part.square().T)
    return total / x.shape[1]


def class_sums(x: Tensor, label: Tensor, classes: int) -> Tensor:
    """The sum of each class's features: (D + 1, N), (N,) -> (C, D + 1)."""
    sums = x.new_zeros(classes, len(x))
    for part, of in zip(x.split(_block(x), 1), label.split(_block(x)), strict=True):
        sums.addmm_(F.one_hot(of, classes).T.to(x), part.T)
    return sums


def accuracy(weight: Tensor, x: Tensor, label: Tensor) -> float:
    """The share that is classified right: (C, D + 1), (D + 1, N), (N,) -> ()."""
    return hits(weight, x, label).double().mean().item()


def hits(weight: Tensor, x: Tensor, label: Tensor) -> Tensor:
    """Which are classified right: (C, D + 1), (D + 1, N), (N,) -> bool (N,)."""
    right = [
        (weight @ part).argmax(0) == of
        for part, of in zip(x.split(_block(x), 1), label.split(_block(x)), strict=True)
    ]
    return torch.cat(right)


def _block(x: Tensor) -> int:
    """How many images to take at a time, to fit a CPU's cache or keep a GPU busy."""
    return 1 << (12 if x.device.type == "cpu" else 17)
