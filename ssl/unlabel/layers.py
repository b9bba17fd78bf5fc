"""Blocks that at least two methods share."""

from itertools import pairwise

from torch import nn


def mlp(*dims: int) -> nn.Sequential:
    """Linear layers between the sizes `dims`, with batch norm and ReLU on every hidden size."""
    hidden = [
        layer
        for dim, out in pairwise(dims[:-1])
        for layer in (nn.Linear(dim, out, bias=False), nn.BatchNorm1d(out), nn.ReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(dims[-2], dims[-1]))
