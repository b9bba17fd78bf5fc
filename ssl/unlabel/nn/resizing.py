"""Interpolation as products with matrices, whose gradients have the same bits again on a GPU."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolated(x: Tensor, size: tuple[int, int], mode: str, antialias: bool = False) -> Tensor:
    """Maps in another size, as `F.interpolate` makes them: (B, C, h, w) -> (B, C, *size), float32.

    `mode` is "bilinear" or "bicubic". The gradient of `F.interpolate` itself has other bits each
    time on a GPU.
    """
    old = (x.shape[2], x.shape[3])
    down, across = (
        matrix(before, after, mode, antialias, x.device)
        for before, after in zip(old, size, strict=True)
    )
    with torch.autocast(x.device.type, enabled=False):
        return down @ x.float() @ across.mT


@cache
def matrix(size: int, out: int, mode: str, antialias: bool, device: torch.device) -> Tensor:
    """Resizes `size` values in a line to `out` values: (out, size)."""
    one = torch.eye(size, device=device)[None, None]  # a row for each value
    return F.interpolate(one, (size, out), mode=mode, antialias=antialias)[0, 0].mT.contiguous()
