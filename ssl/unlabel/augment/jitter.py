"""Colour jitter."""

import math
from functools import cache

import torch
from torch import Tensor

from unlabel.augment.colour import luma, rgb, same_and_grey, yiq
from unlabel.augment.transform import Colour
from unlabel.nn.draws import chosen, uniform
from unlabel.ranges import NonNegative, Share


class Jitter(Colour):
    """Colour jitter with probability p: brightness, contrast, saturation and hue, in this order.

    The first three are factors in [1 - strength, 1 + strength], as in torchvision. Hue rotates
    colours around the grey axis, by up to `hue` of a full turn and at constant luma. Images that
    have not three channels only change in brightness and contrast. There is one factor for all
    channels, and contrast is around each channel's own mean, as in SSL4EO-S12 (arXiv:2211.07044).
    """

    def __init__(
        self,
        brightness: NonNegative = 0.8,
        contrast: NonNegative = 0.8,
        saturation: NonNegative = 0.8,
        hue: Share = 0.2,
        p: Share = 0.8,
    ):
        self.strength = (brightness, contrast, saturation)
        self.hue, self.p = hue, p

    def draw(self, x: Tensor) -> Tensor:
        """Three factors and an angle in turns, (1, 1, 1, 0) for no change: (B, 4)."""
        factors = [uniform(x, 1, low=max(0, 1 - s), high=1 + s) for s in self.strength]
        jitter = torch.cat([*factors, uniform(x, 1, low=-self.hue, high=self.hue)], 1)
        return torch.where(chosen(x, self.p), jitter, _no_jitter(x.device))

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        brightness, contrast, saturation, turn = draw.unsqueeze(2).split(1, dim=1)  # (B, 1, 1)
        c = mean.shape[1]
        scale = brightness * contrast
        if c not in (1, 3):
            same, _ = same_and_grey(c, mean.device)
            return same * scale, (1 - contrast) * brightness * mean
        offset = (1 - contrast) * brightness * luma(mean)
        if c == 1:
            return scale, offset
        same, grey = same_and_grey(c, mean.device)
        saturate = torch.lerp(grey, same, saturation)
        return torch.bmm(_hue(turn), saturate) * scale, offset.expand_as(mean)


def _hue(turn: Tensor) -> Tensor:
    """Rotations of the YIQ chroma plane by angles in turns: (B, 1, 1) -> (B, 3, 3)."""
    same, cos, sin = _turns(turn.device)
    angle = 2 * math.pi * turn
    return same + angle.cos() * cos + angle.sin() * sin


@cache
def _no_jitter(device: torch.device) -> Tensor:
    """The draw of an image that stays as it is: (4,)."""
    return torch.tensor([1.0, 1.0, 1.0, 0.0], device=device)


@cache
def _turns(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The constant, cosine and sine parts of a hue rotation: (3, 3) each."""
    y, i, q = yiq(device).unsqueeze(1)  # (1, 3) each: to luma, and to the two chroma axes
    of_y, of_i, of_q = rgb(device).T.unsqueeze(2)  # (3, 1) each: back
    return of_y @ y, of_i @ i + of_q @ q, of_q @ i - of_i @ q
