"""Many vectors, a block at a time, so that what is computed of them needs little memory."""

from collections.abc import Iterator

import torch
from torch import Tensor


def blocks(x: Tensor, rows: Tensor | None = None) -> Iterator[Tensor]:
    """Blocks (n, D) of vectors (N, D), or of these rows of them."""
    if rows is None:
        yield from x.split(size(x))
    else:
        for part in rows.split(size(x)):
            yield x[part]


def size(x: Tensor) -> int:
    """How many vectors to take at a time, to fit a CPU's cache or keep a GPU busy."""
    return 1 << (12 if x.device.type == "cpu" else 17)


def mean(x: Tensor, rows: Tensor | None = None) -> Tensor:
    """The mean of vectors (N, D), or of these rows, summed in float64: (D,)."""
    total = x.new_zeros(x.shape[1], dtype=torch.float64)
    for part in blocks(x, rows):
        total = total + part.double().sum(0)
    return (total / (len(x) if rows is None else len(rows))).to(x)
