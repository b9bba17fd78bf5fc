"""Vectors, and what papers compute of them, as plain loops."""

import math

import torch
import torch.nn.functional as F

GENERATOR = torch.Generator().manual_seed(0)


A, B = torch.randn(8, 5, generator=GENERATOR), torch.randn(8, 5, generator=GENERATOR)


QUEUE = F.normalize(torch.randn(6, 5, generator=GENERATOR), dim=1)


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def cos(a, b) -> float:
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def softmax(logits: list[float]) -> list[float]:
    total = sum(math.exp(x) for x in logits)
    return [math.exp(x) / total for x in logits]


def close(loss, expected: float) -> bool:
    return math.isclose(loss.item(), expected, rel_tol=1e-4, abs_tol=1e-6)
