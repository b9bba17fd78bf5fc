"""Layers that at least two methods share."""

import copy
import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.nn.losses import cosine_similarities

Norm = Literal["batch", "group", "standardised", "layer", "none"]
GROUPS = 8  # of group norm, if the channels divide into that many


def norms(kind: Norm, dim: int, maps: bool = False, affine: bool = True) -> list[nn.Module]:
    """The layer that normalises vectors (B, dim) or, with `maps`, maps (B, dim, H, W), if any.

    "batch" uses the statistics of each channel over the batch (arXiv:1502.03167), "group" those of
    groups of one image's channels (arXiv:1803.08494), and "layer" those of all its channels and
    pixels (arXiv:1607.06450). "standardised" is "group" after a layer whose weights are
    standardised; see `linear` and `convolution`.
    """
    if kind == "none":
        return []
    if kind == "batch":
        return [(nn.BatchNorm2d if maps else nn.BatchNorm1d)(dim, affine=affine)]
    groups = 1 if kind == "layer" else math.gcd(GROUPS, dim)
    return [_GroupNorm(groups, dim, affine=affine)]


class _GroupNorm(nn.GroupNorm):
    """Takes maps as contiguous: in channels_last, a CPU in bfloat16 takes many times as long."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous())


def standardised(weight: Tensor) -> Tensor:
    """Weight standardisation (arXiv:1903.10520, section 3), of weights (out, ...).

    The weights of each output have mean 0 and variance 1 / inputs, with which a layer keeps the
    scale of its input (arXiv:2101.08692). The paper has variance 1; the norm makes them alike.
    """
    w = weight.flatten(1)
    w = w - w.mean(1, True)
    return (w / (w.square().sum(1, True) + 1e-5).sqrt()).view_as(weight)


class _StandardisedLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, standardised(self.weight), self.bias)


class _StandardisedConvolution(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, standardised(self.weight), self.bias, self.stride, self.padding)


def linear(norm: Norm, dim: int, out: int) -> nn.Linear:
    """A linear layer before a norm. It has no offset where batch norm would subtract it again."""
    made = _StandardisedLinear if norm == "standardised" else nn.Linear
    return made(dim, out, bias=norm != "batch")


def convolution(norm: Norm, dim: int, out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution before a norm of maps; it has an offset where no norm follows."""
    made = _StandardisedConvolution if norm == "standardised" else nn.Conv2d
    return made(dim, out, size, stride, size // 2, bias=norm == "none")


def mlp(
    *dims: int,
    norm: Norm = "batch",
    norm_out: bool = False,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Linear layers between the sizes `dims`, with an activation after each hidden one.

    A norm precedes each activation. `norm_out` adds one at the end, without a learned scale and
    offset.
    """
    layers: list[nn.Module] = []
    for dim, out in pairwise(dims[:-1]):
        layers += [linear(norm, dim, out), *norms(norm, out), activation()]
    last = norms(norm, dims[-1], affine=False) if norm_out else []
    final = linear(norm, dims[-2], dims[-1]) if last else nn.Linear(dims[-2], dims[-1])
    return nn.Sequential(*layers, final, *last)


class Teacher(nn.Module):
    """A copy of `student` that takes no gradient and follows it slowly (arXiv:1703.01780).

    Weights are averaged. Batch norm keeps statistics of its own, of what the teacher has seen.
    """

    def __init__(self, student: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        return y

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float, share: float) -> None:
        """Weights <- momentum * weights + (1 - momentum) * student's.

        A step that takes its batch in parts calls this for each part. With a part's `share` of the
        batch, that amounts to one call for the whole.
        """
        slow: list[Tensor] = list(self.module.parameters())
        fast: list[Tensor] = list(student.parameters())
        torch._foreach_lerp_(slow, fast, 1 - momentum**share)


class Heads(nn.ModuleList):
    """Several projectors side by side: (B, D) -> unit vectors in each of S spaces (S, B, d)."""

    def forward(self, h: Tensor) -> Tensor:
        return F.normalize(torch.stack([head(h) for head in self]).float(), dim=2)


class Prototypes(nn.Module):
    """Cosine similarities of vectors with learned prototypes: (B, D) -> (B, K), in float32."""

    def __init__(self, dim: int, prototypes: int):
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(prototypes, dim), dim=1))

    def forward(self, z: Tensor) -> Tensor:
        return cosine_similarities(z, self.weight)


def cosine(start: float, end: float, t: float) -> float:
    """Half a cosine wave, from `start` at t = 0 to `end` at t = 1."""
    return end + (start - end) * (1 + math.cos(math.pi * t)) / 2
