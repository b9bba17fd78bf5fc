"""Random numbers for each image of a batch, whatever the number of processes."""

import torch
from torch import Tensor

from unlabel.nn.distributed import draw_rows


def uniform(like: Tensor, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform in [low, high), drawn anew for each row of `like` (B, ...) -> (B, *shape)."""
    return draw_rows(len(like), lambda b: _empty(like, b, *shape).uniform_(low, high))


def normal(like: Tensor, *shape: int) -> Tensor:
    """From N(0, 1), drawn anew for each row of `like` (B, ...) -> (B, *shape)."""
    return draw_rows(len(like), lambda b: _empty(like, b, *shape).normal_())


def integers(like: Tensor, low: int, high: int, *shape: int) -> Tensor:
    """Integers in [low, high), drawn anew for each row of `like` (B, ...) -> (B, *shape)."""
    return draw_rows(len(like), lambda b: torch.randint(low, high, (b, *shape), device=like.device))


def chosen(like: Tensor, p: float) -> Tensor:
    """True with probability p, drawn anew for each row of `like` (B, ...) -> (B, 1)."""
    return uniform(like, 1) < p


def _empty(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, device=like.device)
