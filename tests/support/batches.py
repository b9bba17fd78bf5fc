"""Small batches of noise, and sums by hand."""

import math

import torch

from unlabel.data.images import Images
from unlabel.method import Batch


def images(shape: tuple[int, int, int] = (1, 16, 16), n: int = 8) -> Images:
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=generator())
    return Images.of(torch.arange(n), pixels, torch.arange(n) % 4)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(shape: tuple[int, int, int] = (1, 16, 16)) -> Batch:
    data = images(shape)
    return Batch(data.image / 255, data.label, data.id, 0.0)


def squared_error(a: torch.Tensor, b: torch.Tensor) -> float:
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    return sum((p - q) ** 2 for p, q in pairs) / len(pairs)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
