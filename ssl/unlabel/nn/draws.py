"""Random numbers for each image of a batch: the same in however many processes it is trained on."""

import torch
from torch import Tensor

from unlabel.nn.distributed import drawn


def uniform(like: Tensor, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """In [low, high): for each row of `like` (B, ...) an independent draw -> (B, *shape)."""
    return drawn(len(like), lambda b: _empty(like, b, *shape).uniform_(low, high))


def normal(like: Tensor, *shape: int) -> Tensor:
    """From N(0, 1): for each row of `like` (B, ...) an independent draw -> (B, *shape)."""
    return drawn(len(like), lambda b: _empty(like, b, *shape).normal_())


def integers(like: Tensor, low: int, high: int, *shape: int) -> Tensor:
    """In [low, high): for each row of `like` (B, ...) an independent draw -> (B, *shape)."""
    return drawn(len(like), lambda b: torch.randint(low, high, (b, *shape), device=like.device))


def _empty(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, device=like.device)
