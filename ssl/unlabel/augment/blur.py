"""Gaussian blur."""

from torch import Tensor

from unlabel.augment.resampling import gaussian
from unlabel.augment.transform import Resampling, Rows
from unlabel.nn.draws import chosen, uniform
from unlabel.ranges import NonNegative, Share


class Blur(Resampling):
    """Gaussian blur with probability p, sigma in pixels. The kernel is renormalised at borders."""

    def __init__(self, p: Share = 0.5, sigma: tuple[NonNegative, NonNegative] = (0.1, 2.0)):
        self.p, self.sigma = p, tuple(sigma)

    def draw(self, x: Tensor) -> Tensor:
        """Sigma in pixels, 0 for an image that is not blurred: (B, 1)."""
        return uniform(x, 1, low=self.sigma[0], high=self.sigma[1]) * chosen(x, self.p)

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        return gaussian(height, draw), gaussian(width, draw)
