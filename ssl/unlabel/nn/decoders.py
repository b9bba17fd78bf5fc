"""Decoders that draw images from features, and a discriminator that judges the drawings."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIME = 32  # the length of a step's code


class Decoder(nn.Module):
    """A vector (B, D) -> an image (B, C, H, W): a small map, doubled until it is large enough.

    The map starts with 3 to `start` pixels a side.

    Upsampling and convolution rather than transposed convolution, whose output is chequered
    (Odena et al. 2016, doi:10.23915/distill.00003).
    """

    def __init__(self, dim: int, shape: tuple[int, int, int], width: int = 32, start: int = 8):
        super().__init__()
        channels, height, width_ = shape
        self.size = (height, width_)
        doublings = _doublings(min(self.size), start)
        first = [-(-side // 2**doublings) for side in self.size]
        widths = [width * 2 ** max(0, doublings - i - 1) for i in range(doublings + 1)]
        self.start = nn.Sequential(
            nn.Linear(dim, widths[0] * first[0] * first[1]),
            nn.Unflatten(1, (widths[0], *first)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.grow = nn.Sequential(*(_Double(a, b) for a, b in pairwise(widths)))
        self.paint = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        x = self.paint(self.grow(self.start(h)))
        return x[:, :, : self.size[0], : self.size[1]]


def _doublings(side: int, start: int) -> int:
    """How often to double a map of 3 to `start` pixels to reach `side` with the least excess.

    Excess pixels are cut off, and cost time: an autoencoder that drew 32 x 32 pixels for images of
    28 x 28 took 1.4 times as long.
    """
    most = max(0, (side - 1).bit_length() - 2)  # from a map of 3 or 4 pixels
    fewer = [n for n in range(most) if -(-side // 2**n) <= start]
    return min((most, *fewer), key=lambda n: -(-side // 2**n) * 2**n)


class _Double(nn.Module):
    """Twice the size, from `dim` to `out` channels."""

    def __init__(self, dim: int, out: int):
        super().__init__()
        self.convolve = nn.Conv2d(dim, out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.convolve(F.interpolate(x, scale_factor=2))), inplace=True)


class Denoiser(nn.Module):
    """A noisy image (B, C, H, W), its code (B, D) and its step t (B,) -> the noise (B, C, H, W).

    The code and t give a drawing, which is compared with the noisy image at full size: the one
    skip connection of this U-Net. t also scales and shifts the channels.
    """

    def __init__(self, dim: int, shape: tuple[int, int, int], width: int = 32):
        super().__init__()
        self.draw = Decoder(dim + TIME, shape, width)
        self.see = nn.Conv2d(2 * shape[0], width, 5, padding=2)
        self.compare = nn.Conv2d(width, width, 3, padding=1)
        self.paint = nn.Conv2d(width, shape[0], 3, padding=1)
        self.modulate = nn.Linear(TIME, 4 * width)

    def forward(self, x: Tensor, h: Tensor, t: Tensor) -> Tensor:
        time = sinusoids(t)
        scale, shift, scale_, shift_ = self.modulate(time)[..., None, None].chunk(4, 1)
        drawn = self.draw(torch.cat([h, time], 1))
        y = F.relu(self.see(torch.cat([x, drawn], 1)) * (1 + scale) + shift)
        y = F.relu(self.compare(y) * (1 + scale_) + shift_)
        noise: Tensor = self.paint(y)
        return noise


def sinusoids(t: Tensor) -> Tensor:
    """Steps (B,) -> (B, TIME): sines and cosines of wavelengths 2π to 20,000π."""
    frequency = 1e4 ** (-torch.arange(TIME // 2, device=t.device) / (TIME // 2))
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)


class Discriminator(nn.Module):
    """Is an image (B, C, H, W) real, or a pair of an image and z (B, d)? -> logits (B, 1)

    Convolutions of stride 2 with leaky ReLU, and batch norm on all but the first
    (arXiv:1511.06434, section 3).
    """

    def __init__(self, shape: tuple[int, int, int], width: int = 32, latent: int = 0):
        super().__init__()
        channels, *size = shape
        halvings = max(1, (min(size) - 1).bit_length() - 2)  # to a map of 3 or 4 pixels
        widths = [width * 2**i for i in range(halvings)]
        blocks = [_halve(a, b) for a, b in pairwise(widths)]
        first = nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2))
        self.look = nn.Sequential(first, *blocks, nn.Flatten())
        dim = widths[-1] * (size[0] >> halvings) * (size[1] >> halvings)
        self.judge = nn.Sequential(
            nn.Linear(dim + latent, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)
        )

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.look(x)
        logits: Tensor = self.judge(h if z is None else torch.cat([h, z], 1))
        return logits


def _halve(dim: int, out: int) -> nn.Sequential:
    convolve = nn.Conv2d(dim, out, 4, 2, 1, bias=False)
    return nn.Sequential(convolve, nn.BatchNorm2d(out), nn.LeakyReLU(0.2))
