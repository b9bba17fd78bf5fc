"""Random resized crops."""

import math

import torch
from torch import Tensor

from unlabel.augment.resampling import enlarge, resize
from unlabel.augment.transform import Resampling, Rows, Size
from unlabel.nn.draws import uniform
from unlabel.ranges import Count, Positive, PositiveShare


class Crop(Resampling):
    """A random box, resized to `size` x `size` pixels (default: the image's size), antialiased.

    The box covers a share of the image's area in `scale` (uniform) and has an aspect ratio in
    `ratio` (log-uniform). A side longer than the image is cut to the image.
    """

    def __init__(
        self,
        scale: tuple[PositiveShare, PositiveShare] = (0.08, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
        size: Count | None = None,
    ):
        self.scale, self.ratio, self.side = tuple(scale), tuple(ratio), size

    def size(self, before: Size) -> Size:
        return (self.side, self.side) if self.side else before

    def draw(self, x: Tensor) -> Tensor:
        """Top, left, height and width as shares of the image: (B, 4)."""
        height, width = x.shape[2:]
        area = uniform(x, 1, low=self.scale[0], high=self.scale[1])
        low, high = (math.log(r * height / width) for r in self.ratio)
        root = (uniform(x, 1, low=low, high=high) / 2).exp()
        box = torch.cat([area.sqrt() / root, area.sqrt() * root], 1).clamp(max=1)
        return torch.cat([uniform(x, 2) * (1 - box), box], 1)

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        top, left, tall, wide = draw.split(1, dim=1)
        h, w = self.size((height, width))
        rows = enlarge if h >= height > 1 else resize
        columns = enlarge if w >= width > 1 else resize
        return rows(height, h, top, tall), columns(width, w, left, wide)
