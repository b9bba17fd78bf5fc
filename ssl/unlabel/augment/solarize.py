"""Solarization."""

import torch
from torch import Tensor

from unlabel.augment.transform import Pointwise
from unlabel.nn.draws import chosen
from unlabel.ranges import Share


class Solarize(Pointwise):
    """With probability p, invert every value of at least `threshold`."""

    def __init__(self, p: Share = 0.2, threshold: Share = 0.5):
        self.p, self.threshold = p, threshold

    def draw(self, x: Tensor) -> Tensor:
        return chosen(x, self.p)

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        return torch.where(draw[..., None, None] & (x >= self.threshold), 1 - x, x)
