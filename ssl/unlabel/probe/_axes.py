"""Features in coordinates in which they have mean 0, deviation 1 and no correlation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from unlabel.nn.blocks import blocks, mean, size

KEPT = 1 << 31  # bytes of turned features that are kept


class Axes(NamedTuple):
    """A change of coordinates: each feature is standardised, all are turned to principal axes.

    The turn changes no |W| and so no solution of a linear classifier, but lets the optimizer scale
    each axis: half the iterations.
    """

    mean: Tensor  # (D,)
    turn: Tensor  # (D, D)

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> "Turned":
        """Features (N, D), or these rows of them, in the new coordinates."""
        return Turned(self, x, rows).kept()

    def turned(self, x: Tensor) -> Tensor:
        """Features (n, D) -> (D + 1, n), of which the last row is 1s."""
        out = x.new_ones(x.shape[1] + 1, len(x))
        out[:-1] = self.turn.T @ (x - self.mean).T
        return out

    def undo(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weights on the new coordinates (C, D + 1) -> the same classifier of features as they are.

        Its weights (C, D) and biases (C,).
        """
        turned = weight[:, :-1] @ self.turn.T
        return turned, weight[:, -1] - turned @ self.mean


@dataclass(frozen=True)
class Turned:
    """N features in new coordinates. Few are kept; many are turned anew, a block at a time."""

    axes: Axes
    x: Tensor  # features as they are (M, D)
    rows: Tensor | None = None  # which of them these are (N,); None: all
    columns: Tensor | None = None  # (D + 1, N), if they are kept

    def __len__(self) -> int:
        return len(self.x) if self.rows is None else len(self.rows)

    def blocks(self) -> Iterator[Tensor]:
        """Blocks (D + 1, n), of which the last row is 1s."""
        if self.columns is not None:
            yield from self.columns.split(size(self.x), 1)
        else:
            yield from map(self.axes.turned, blocks(self.x, self.rows))

    def take(self, index: Tensor) -> "Turned":
        """Those at `index` (n,), or where that mask (N,) is true."""
        rows = torch.arange(len(self.x), device=self.x.device) if self.rows is None else self.rows
        if self.columns is None:
            return Turned(self.axes, self.x, rows[index]).kept()
        return replace(self, rows=rows[index], columns=self.columns[:, index])

    def kept(self) -> "Turned":
        """The same, in memory if they need less than `KEPT` bytes there."""
        if len(self) * (self.x.shape[1] + 1) * self.x.element_size() >= KEPT:
            return self
        columns, start = self.x.new_empty(self.x.shape[1] + 1, len(self)), 0
        for part in self.blocks():
            columns[:, start : start + part.shape[1]] = part
            start += part.shape[1]
        return replace(self, columns=columns)


def axes(x: Tensor, rows: Tensor | None = None) -> Axes:
    """The axes of features (N, D), or of these rows of them."""
    centre, number = mean(x, rows), len(x) if rows is None else len(rows)
    covariance = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for part in blocks(x, rows):
        covariance = covariance + (part - centre).T @ (part - centre) / number
    deviation = covariance.diagonal().sqrt()
    # A feature that is the same for all images stays zero.
    scale = torch.where(deviation > 1e-6 * deviation.max(), 1 / deviation, 0)
    vectors = torch.linalg.eigh(scale[:, None] * covariance * scale).eigenvectors
    return Axes(centre, (scale[:, None] * vectors).to(x))
