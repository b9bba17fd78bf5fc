"""Blocks that at least two methods share."""

import copy
import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.losses import cosine_similarities


def mlp(
    *dims: int,
    norm: bool = True,
    norm_out: bool = False,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Linear layers between the sizes `dims`, with an activation on every hidden size.

    Batch norm stands before each activation, or nowhere; with `norm_out` also at the end, where
    it has no scale and offset to learn.
    """
    layers: list[nn.Module] = []
    for dim, out in pairwise(dims[:-1]):
        layers += [nn.Linear(dim, out, bias=not norm)]
        layers += [nn.BatchNorm1d(out), activation()] if norm else [activation()]
    layers.append(nn.Linear(dims[-2], dims[-1], bias=not norm_out))
    if norm_out:
        layers.append(nn.BatchNorm1d(dims[-1], affine=False))
    return nn.Sequential(*layers)


class Teacher(nn.Module):
    """A copy of `student` that takes no gradient and follows it slowly (arXiv:1703.01780).

    Weights are averaged; the statistics of batch norm are the teacher's own, of what it has seen.
    """

    share = 1.0  # of a step's batch in one part; the loop says so where it works in parts

    def __init__(self, student: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        return y

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float) -> None:
        """Weights <- momentum * weights + (1 - momentum) * student's.

        Once for each part of a batch, which comes to the same as once for the whole.
        """
        for slow, fast in zip(self.module.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast, 1 - momentum**self.share)


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
