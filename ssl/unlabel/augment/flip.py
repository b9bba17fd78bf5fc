"""Horizontal flips."""

import torch
from torch import Tensor

from unlabel.augment.resampling import Neighbours
from unlabel.augment.transform import Resampling, Rows
from unlabel.nn.draws import chosen
from unlabel.ranges import Share


class Flip(Resampling):
    """Horizontal flip with probability p."""

    def __init__(self, p: Share = 0.5):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        return chosen(x, self.p)

    def follow(
        self, rows: Rows | None, columns: Rows | None, size: tuple[int, int], draw: Tensor
    ) -> tuple[Rows | None, Rows]:
        # Reverses the columns: the same as a matrix product, but four times as fast.
        if isinstance(columns, Neighbours):
            return rows, columns.flipped(draw)
        columns = torch.eye(size[1], device=draw.device) if columns is None else columns
        return rows, torch.where(draw.unsqueeze(2), columns.flip(-2), columns)
