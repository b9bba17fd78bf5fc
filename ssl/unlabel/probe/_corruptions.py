"""Fifteen corruptions of images at five severities, batched. After arXiv:1903.12261, appendix B.

The severities are those of CIFAR-10-C, which are made for 32 x 32 pixels; lengths grow with the
images. Instead of photographs of frost there is a drawn pattern. A corruption takes images in
[0, 1] (B, C, H, W), a severity from 0 to 4 and a source of randomness, and gives images that may
leave [0, 1].
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unlabel.probe._image_filters import (
    blurred,
    boxed,
    filtered,
    grey,
    moved,
    normal,
    plasma,
    sampled,
    scale,
    uniform,
    zoomed,
)
from unlabel.probe._jpeg import compressed

Corruption = Callable[[Tensor, int, Generator], Tensor]


def corrupted(x: Tensor, name: str, severity: int, draw: Generator) -> Tensor:
    """Images in [0, 1] (B, C, H, W), corrupted and rounded to 8 bits, as they would be stored."""
    out = CORRUPTIONS[name](x, severity, draw)
    return out.clamp(0, 1).mul(255).round() / 255


# Noise. It is drawn on the CPU, so that it is the same on each device.


def gaussian_noise(x: Tensor, severity: int, draw: Generator) -> Tensor:
    return x + (0.04, 0.06, 0.08, 0.09, 0.10)[severity] * normal(x, draw)


def shot_noise(x: Tensor, severity: int, draw: Generator) -> Tensor:
    photons = (500, 250, 100, 75, 50)[severity]
    return (torch.poisson(x.cpu() * photons, generator=draw) / photons).to(x)


def impulse_noise(x: Tensor, severity: int, draw: Generator) -> Tensor:
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity]
    chance = uniform(x, draw)
    return torch.where(chance < share / 2, 0, torch.where(chance < share, 1, x))


# Blur


def defocus_blur(x: Tensor, severity: int, draw: Generator) -> Tensor:
    radius, soft = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity]
    radius = radius * scale(x)
    reach = math.ceil(radius) + 1
    axis = torch.arange(-reach, reach + 1, device=x.device)
    disk = (axis[:, None].square() + axis.square() <= radius**2).to(x)
    kernel = blurred(disk[None, None], soft, 1)[0, 0]
    return filtered(x, kernel / kernel.sum())


def glass_blur(x: Tensor, severity: int, draw: Generator) -> Tensor:
    sigma, reach, times = (
        (0.05, 1, 1),
        (0.25, 1, 1),
        (0.4, 1, 1),
        (0.25, 1, 2),
        (0.4, 1, 2),
    )[severity]
    sigma, reach = sigma * scale(x), max(1, round(reach * scale(x)))
    x = blurred(x, sigma)
    batch, channels, height, width = x.shape
    for _ in range(times):  # each pixel becomes one near it
        step = torch.randint(-reach, reach + 1, (2, batch, height, width), generator=draw)
        down, right = step.to(x.device)
        row = (torch.arange(height, device=x.device)[:, None] + down).clamp(0, height - 1)
        column = (torch.arange(width, device=x.device) + right).clamp(0, width - 1)
        place = (row * width + column).view(batch, 1, -1).expand(-1, channels, -1)
        x = x.flatten(2).gather(2, place).view_as(x)
    return blurred(x, sigma)


def motion_blur(x: Tensor, severity: int, draw: Generator) -> Tensor:
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity]
    return moved(x, radius * scale(x), sigma * scale(x), uniform(x[:, 0, 0, 0], draw) * 90 - 45)


def zoom_blur(x: Tensor, severity: int, draw: Generator) -> Tensor:
    last = (6, 11, 16, 21, 26)[severity]
    return (x + sum(zoomed(x, 1 + step / 100) for step in range(last))) / (last + 1)


# Weather


def snow(x: Tensor, severity: int, draw: Generator) -> Tensor:
    mean, spread, zoom, least, radius, sigma, kept = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity]
    flakes = zoomed(mean + spread * normal(x[:, :1], draw), zoom)
    flakes = torch.where(flakes < least, 0, flakes).clamp(0, 1)
    angle = uniform(x[:, 0, 0, 0], draw) * 90 - 135
    flakes = moved(flakes, radius * scale(x), sigma * scale(x), angle)
    white = torch.maximum(x, grey(x) * 1.5 + 0.5)
    return kept * x + (1 - kept) * white + flakes + flakes.flip(2, 3)


def frost(x: Tensor, severity: int, draw: Generator) -> Tensor:
    image, ice = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity]
    ridges = 1 - (2 * plasma(x, 1.6, draw) - 1).abs()
    crystals = ridges**2 * (0.6 + 0.4 * plasma(x, 3, draw))
    tint = (0.85, 0.93, 1.0) if x.shape[1] == 3 else (0.93,)
    return image * x + ice * crystals * x.new_tensor(tint).view(-1, 1, 1)


def fog(x: Tensor, severity: int, draw: Generator) -> Tensor:
    thick, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity]
    brightest = x.amax((1, 2, 3), keepdim=True)
    return (x + thick * plasma(x, decay, draw)) * brightest / (brightest + thick)


def brightness(x: Tensor, severity: int, draw: Generator) -> Tensor:
    """The value of HSV grows; hue and saturation stay."""
    value = x.amax(1, keepdim=True)
    brighter = (value + (0.05, 0.1, 0.15, 0.2, 0.3)[severity]).clamp(max=1)
    return torch.where(value > 0, x * brighter / value.clamp(min=1e-6), brighter)


# Digital


def contrast(x: Tensor, severity: int, draw: Generator) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[severity] + mean


def elastic_transform(x: Tensor, severity: int, draw: Generator) -> Tensor:
    strength, smooth, affine = (
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity]
    side, batch = min(x.shape[2:]), len(x)
    # Three points a third of the side from the centre move by up to `affine` of the side.
    points = torch.tensor([[1.0, 1, 1], [1, -1, 1], [-1, -1, 1]]) * torch.tensor([2 / 3, 2 / 3, 1])
    move = (torch.rand(batch, 3, 2, generator=draw) * 2 - 1) * 2 * affine
    theta = torch.linalg.solve(points, points[:, :2] + move).mT.to(x)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    noise = torch.rand(batch, 2, *x.shape[2:], generator=draw).to(x) * 2 - 1
    shift = blurred(noise, smooth * side, 3) * strength * 2
    return sampled(x, grid + shift.permute(0, 2, 3, 1))


def pixelate(x: Tensor, severity: int, draw: Generator) -> Tensor:
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity]
    height, width = x.shape[2:]
    return boxed(boxed(x, int(height * share), int(width * share)), height, width)


def jpeg_compression(x: Tensor, severity: int, draw: Generator) -> Tensor:
    return compressed(x, (80, 65, 58, 50, 40)[severity])


CORRUPTIONS: dict[str, Corruption] = {
    each.__name__: each
    for each in (
        *(gaussian_noise, shot_noise, impulse_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, frost, fog, brightness),
        *(contrast, elastic_transform, pixelate, jpeg_compression),
    )
}
