"""Optimizers of one module. Biases and norms (parameters of one dimension) never decay."""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from unlabel.ranges import Decay, NonNegative, Positive, Share


class _Eager(Optimizer):
    """torch's methods without the guards that hide them from its compiler.

    A guard loads the compiler when it is first called, which takes 1.2 to 2 s a process. Nothing
    here is compiled, so a subclass that calls what the guards wrap computes the same.
    """

    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)
    add_param_group = unwrap(Optimizer.add_param_group)


class _AdamW(_Eager, AdamW):
    step = torch.no_grad()(unwrap(AdamW.step))


class _SGD(_Eager, SGD):
    step = torch.no_grad()(unwrap(SGD.step))


def sgd(
    module: nn.Module,
    lr: Positive = 0.03,
    momentum: Share = 0.9,
    weight_decay: NonNegative = 1e-4,
    nesterov: bool = False,
) -> Optimizer:
    """Stochastic gradient descent with momentum."""
    return _SGD(_groups(module, weight_decay), lr, momentum, nesterov=nesterov)


def adamw(
    module: nn.Module,
    lr: Positive = 1e-3,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    weight_decay: NonNegative = 1e-2,
) -> Optimizer:
    """Decoupled Weight Decay Regularization (arXiv:1711.05101, algorithm 2)."""
    return _AdamW(_groups(module, weight_decay), lr, (betas[0], betas[1]), fused=True)


def lars(
    module: nn.Module,
    lr: Positive = 0.3,
    momentum: Share = 0.9,
    weight_decay: NonNegative = 1e-6,
    trust: Positive = 1e-3,
    clip: bool = False,
) -> Optimizer:
    """Large Batch Training of Convolutional Networks (arXiv:1708.03888); see `LARS`."""
    return LARS(_groups(module, weight_decay), lr, momentum, trust, clip)


class LARS(_Eager):
    """Layer-wise adaptive rate scaling (arXiv:1708.03888, algorithm 1) with momentum.

    Each weight's step is in proportion to its norm: the gradient g + decay * w is scaled by
    trust * |w| / |g + decay * w|, as in SimCLR and BYOL. Biases and norms are not scaled.

    With `clip`, as in solo-learn, this rate of a weight is no longer a factor of the learning rate:
    it takes its place where it is lower.
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, momentum: float, trust: float, clip: bool
    ):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "trust": trust, "clip": clip})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            slopes = [weight.grad for weight in weights]
            gradients = torch._foreach_add(slopes, weights, alpha=group["weight_decay"])
            scaled = [at for at, weight in enumerate(weights) if weight.ndim > 1]
            if scaled:
                large = [gradients[at] for at in scaled]
                trust = _trust([weights[at] for at in scaled], large, group["trust"])
                if group["clip"]:
                    trust = (trust / group["lr"]).clamp(max=1) if group["lr"] else trust
                torch._foreach_mul_(large, trust.unbind())
            velocities = [self._velocity(weight) for weight in weights]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, gradients, alpha=group["lr"])
            torch._foreach_sub_(weights, velocities)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def _trust(weights: list[Tensor], gradients: list[Tensor], trust: float) -> Tensor:
    """The factors (n,) that scale n gradients; 1 if a weight or its gradient is zero."""
    size, slope = (torch.stack(torch._foreach_norm(each)) for each in (weights, gradients))
    return torch.where((size > 0) & (slope > 0), trust * size / slope, torch.ones_like(size))


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
