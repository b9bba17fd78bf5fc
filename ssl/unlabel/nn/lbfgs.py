"""The minimum of a convex function, by L-BFGS."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

MEMORY = 20  # steps from which the curvature is known


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
