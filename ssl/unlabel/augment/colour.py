"""Split images into luma and chroma, find edges, and encode values as bins."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and Pillow
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def separate(x: Tensor) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) -> luma (B, 1, H, W) and chroma (B, 2, H, W), by the YIQ colour space."""
    luma, chroma = recolour(x, yiq(x.device)).split([1, 2], 1)
    return luma, chroma


def join(luma: Tensor, chroma: Tensor) -> Tensor:
    """The inverse of `separate`: (B, 1, H, W), (B, 2, H, W) -> (B, 3, H, W), clamped to [0, 1]."""
    return recolour(torch.cat([luma, chroma], 1), rgb(luma.device)).clamp(0, 1)


@cache  # made in each step, a tensor would have a GPU wait for its copy
def yiq(device: torch.device) -> Tensor:
    """The matrix from RGB to YIQ; its first row is luma: (3, 3)."""
    return torch.tensor(YIQ, device=device)


@cache
def rgb(device: torch.device) -> Tensor:
    """The inverse of `yiq`: (3, 3)."""
    return torch.linalg.inv(yiq(device))


def luma(x: Tensor) -> Tensor:
    """Luma of colour pixels, mean of other channels: (B, C, N) -> (B, 1, N)."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (_luma_weights(x.device) * x).sum(1, keepdim=True)


@cache
def same_and_grey(channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The identity and the projection to grey: (1, C, C) each."""
    same = torch.eye(channels, device=device)[None]
    return same, luma(same).expand(1, channels, channels).contiguous()


@cache
def _luma_weights(device: torch.device) -> Tensor:
    """The luma weights of red, green and blue: (3, 1)."""
    return torch.tensor(LUMA, device=device).unsqueeze(1)


def recolour(x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each pixel's channels: (B, C, H, W), (K, C) -> (B, K, H, W), in float32."""
    with torch.autocast(x.device.type, enabled=False):
        return torch.einsum("kc,bchw->bkhw", matrix, x.float())


def edges(x: Tensor) -> Tensor:
    """The gradient magnitude of each channel, by central differences: (B, C, H, W) in [0, 1]."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2]
    down = x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1]
    return (across.square() + down.square()).sqrt().clamp(max=1)


def chroma_bins(spacing: float) -> Tensor:
    """All points of a chroma grid that are nearest to the chroma of some RGB colour: (Q, 2)."""
    level = torch.linspace(0, 1, 33)
    chroma = torch.cartesian_prod(level, level, level) @ torch.tensor(YIQ[1:]).T
    return (chroma / spacing).round().unique(dim=0) * spacing


def intensity_bins(spacing: float) -> Tensor:
    """Evenly spaced intensities from 0 to 1: (Q, 1)."""
    return torch.linspace(0, 1, round(1 / spacing) + 1).unsqueeze(1)


def soft_encode(values: Tensor, bins: Tensor, sigma: float, nearest: int = 5) -> Tensor:
    """Encode values softly: values (B, K, h, w), bins (Q, K) -> weights (B, Q, h, w) that sum to 1.

    The `nearest` bins get Gaussian weights of their distance (arXiv:1603.08511, section 2.1).
    """
    distance = (values.unsqueeze(1) - bins[:, :, None, None]).square().sum(2)  # (B, Q, h, w)
    near = distance.topk(min(nearest, len(bins)), dim=1, largest=False)
    weight = (near.values / (-2 * sigma**2)).softmax(1)
    return torch.zeros_like(distance).scatter(1, near.indices, weight)
