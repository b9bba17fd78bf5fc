"""What the layers of timm's plain vision transformers see of images of any size."""

from typing import Any

import torch
from torch import Tensor

from unlabel.nn.resizing import interpolated


def is_made_for(net: Any, size: tuple[int, int]) -> bool:
    """Has an image of a size as many patches as there are positions, or has the network none?"""
    return net.pos_embed is None or tuple(net.patch_embed.img_size) == size


def embedded(net: Any, patches: Tensor) -> Tensor:
    """Patches (B, h, w, D) with positions, after the E tokens that are of no patch: (B, E + N, D).

    As timm's `_pos_embed`; but the gradient of its interpolation has other bits each time on a GPU.
    """
    before, grid = tuple(net.patch_embed.grid_size), (patches.shape[1], patches.shape[2])
    if net.pos_embed is None or patches.ndim == 3 or grid == before:
        h: Tensor = net._pos_embed(patches)
        return h
    extra = 0 if net.no_embed_class else net.num_prefix_tokens
    position = net.pos_embed[:, extra:].mT.unflatten(2, before)
    position = interpolated(position, grid, "bicubic", antialias=True).flatten(2).mT  # (1, N, D)
    first = [each for each in (net.cls_token, net.reg_token) if each is not None]
    tokens = [each.expand(len(patches), -1, -1) for each in first]
    if extra:  # each token has a position
        position = torch.cat([net.pos_embed[:, :extra], position], 1)
        h = torch.cat([*tokens, patches.flatten(1, 2)], 1) + position
    else:
        h = torch.cat([*tokens, patches.flatten(1, 2) + position], 1)
    h = net.pos_drop(h)
    return h
