"""Noise, blur, zoom and clouds of batches of images: what corruptions are made of."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unlabel.augment.colour import separate

SIDE = 32  # pixels, for which lengths are given


def normal(like: Tensor, draw: Generator) -> Tensor:
    return torch.randn(like.shape, generator=draw).to(like)


def uniform(like: Tensor, draw: Generator) -> Tensor:
    return torch.rand(like.shape, generator=draw).to(like)


def scale(x: Tensor) -> float:
    """How much longer lengths are than in an image of `SIDE` pixels."""
    return min(x.shape[2:]) / SIDE


def grey(x: Tensor) -> Tensor:
    return separate(x)[0] if x.shape[1] == 3 else x


def filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """Each channel under one kernel (h, w) of odd sides; the border continues."""
    channels, (height, width) = x.shape[1], kernel.shape
    edge = (width // 2, width // 2, height // 2, height // 2)
    weight = kernel.expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(x, edge, mode="replicate"), weight, groups=channels)


def blurred(x: Tensor, sigma: float, cut: float = 4) -> Tensor:
    """Gaussian blur with a deviation in pixels, cut off after `cut` deviations."""
    reach = max(1, round(cut * sigma))
    if sigma <= 0:
        return x
    axis = torch.arange(-reach, reach + 1, device=x.device) / sigma
    kernel = (-axis.square() / 2).exp()
    kernel = (kernel / kernel.sum()).to(x)
    return filtered(filtered(x, kernel[None]), kernel[:, None])


def boxed(x: Tensor, height: int, width: int) -> Tensor:
    """Resized: each new pixel is the mean of those whose centres it covers, as in Pillow's BOX."""
    return boxes(x.shape[2], height).to(x) @ x @ boxes(x.shape[3], width).to(x).T


def boxes(before: int, after: int) -> Tensor:
    """What each new pixel of a row takes from each old one: (after, before)."""
    scale = before / after
    centre = (torch.arange(after, dtype=torch.float64)[:, None] + 0.5) * scale
    distance = (torch.arange(before) + 0.5 - centre) / max(scale, 1)
    weight = ((distance > -0.5) & (distance <= 0.5)).float()
    return weight / weight.sum(1, keepdim=True)


def sampled(x: Tensor, grid: Tensor, border: str = "reflection") -> Tensor:
    return F.grid_sample(x, grid, padding_mode=border, align_corners=False)


def zoomed(x: Tensor, factor: float) -> Tensor:
    """The middle of the images, larger by a factor."""
    theta = torch.eye(2, 3, device=x.device).div(factor).expand(len(x), -1, -1)
    return sampled(x, F.affine_grid(theta, list(x.shape), align_corners=False), "border")


def moved(x: Tensor, radius: float, sigma: float, angle: Tensor) -> Tensor:
    """Motion blur along angles (B,) in degrees: a half Gaussian, as ImageMagick makes it."""
    step = torch.arange(math.ceil(2 * radius + 1))
    weight = (-(step / sigma).square() / 2).exp()
    weight = weight[weight > 1e-3 * weight[0]]
    weight = weight / weight.sum()
    turn = angle.to(x.device) * math.pi / 180
    size = x.new_tensor(x.shape[:1:-1])  # width, height
    direction = torch.stack([turn.cos(), turn.sin()], 1) * 2 / size
    theta = torch.eye(2, 3, device=x.device).expand(len(x), -1, -1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    out = torch.zeros_like(x)
    for place, each in enumerate(weight.tolist()):
        out += each * sampled(x, grid + place * direction[:, None, None], "border")
    return out


def plasma(x: Tensor, decay: float, draw: Generator) -> Tensor:
    """A cloudy pattern for each image by the diamond-square algorithm: (B, 1, H, W) in [0, 1]."""
    height, width = x.shape[2:]
    side = 1 << (max(height, width) - 1).bit_length()
    cloud = torch.zeros(len(x), side, side)
    step, wibble = side, 100.0

    def mean(total: Tensor) -> Tensor:
        return total / 4 + wibble**2 * (torch.rand(total.shape, generator=draw) * 2 - 1)

    while step >= 2:
        half = step // 2
        corner = cloud[:, ::step, ::step]
        total = corner + corner.roll(-1, 1)
        cloud[:, half::step, half::step] = mean(total + total.roll(-1, 2))
        middle, corner = cloud[:, half::step, half::step], cloud[:, ::step, ::step]
        beside = middle + middle.roll(1, 1) + corner + corner.roll(-1, 2)
        cloud[:, ::step, half::step] = mean(beside)
        below = middle + middle.roll(1, 2) + corner + corner.roll(-1, 1)
        cloud[:, half::step, ::step] = mean(below)
        step, wibble = half, wibble / decay
    cloud = cloud[:, None, :height, :width]
    low, high = cloud.amin((2, 3), keepdim=True), cloud.amax((2, 3), keepdim=True)
    return ((cloud - low) / (high - low).clamp(min=1e-6)).to(x)
