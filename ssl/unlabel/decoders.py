"""Decoders: features in, images out."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class Decoder(nn.Module):
    """A vector (B, D) -> an image (B, C, H, W): a small map, doubled in size until it is large.

    Upsampling and convolution rather than transposed convolution, whose output is chequered
    (Odena et al. 2016, doi:10.23915/distill.00003).
    """

    def __init__(self, dim: int, shape: tuple[int, int, int], width: int = 32):
        super().__init__()
        channels, height, width_ = shape
        self.size = (height, width_)
        doublings = max(0, (min(self.size) - 1).bit_length() - 2)  # from a map of 3 or 4 pixels
        start = [-(-side // 2**doublings) for side in self.size]
        widths = [width * 2 ** max(0, doublings - i - 1) for i in range(doublings + 1)]
        self.start = nn.Sequential(
            nn.Linear(dim, widths[0] * start[0] * start[1]),
            nn.Unflatten(1, (widths[0], *start)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.grow = nn.Sequential(*(_Double(a, b) for a, b in pairwise(widths)))
        self.paint = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        x = self.paint(self.grow(self.start(h)))
        return x[:, :, : self.size[0], : self.size[1]]


class _Double(nn.Module):
    """Twice the size, from `dim` to `out` channels."""

    def __init__(self, dim: int, out: int):
        super().__init__()
        self.convolve = nn.Conv2d(dim, out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.convolve(F.interpolate(x, scale_factor=2))))
