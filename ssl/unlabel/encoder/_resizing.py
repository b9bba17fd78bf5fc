"""A vision transformer's weights for another size of patches, and for more or fewer of them."""

from collections.abc import Sequence
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

POSITIONS = ("pos_embed", "pos_embedding")  # how names of position embeddings end
PATCHES = ("conv_proj.weight", "patch_embed.proj.weight")  # and those of patch embeddings
EXTRA = 16  # at most so many tokens are of no patch, such as the class token


def resized(name: str, tensor: Tensor, shape: Sequence[int]) -> Tensor | None:
    """A tensor in a shape; itself if it has that shape, None if it cannot be had soundly."""
    if tensor.shape == torch.Size(shape):
        return tensor
    if name.endswith(POSITIONS) and tensor.ndim == len(shape) == 3:
        return _positions(tensor, shape)
    same = tensor.shape[:2] == torch.Size(shape[:2])
    if name.endswith(PATCHES) and tensor.ndim == len(shape) == 4 and same:
        return patches(tensor, (shape[2], shape[3]))
    return None


def with_channels(kernel: Tensor, channels: int) -> Tensor:
    """A first convolution for images of more or fewer channels: (D, c, p, q) -> (D, C, p, q).

    As timm's `adapt_input_conv`: channels are repeated in turn and scaled by c / C, so that C equal
    channels give what c gave.
    """
    before = kernel.shape[1]
    repeated = kernel.repeat(1, -(-channels // before), 1, 1)[:, :channels]
    return repeated * (before / channels)


def _positions(tensor: Tensor, shape: Sequence[int]) -> Tensor | None:
    """(1, E + g², D) -> (1, E + G², D), if there is one E for which both are squares."""
    for extra in range(EXTRA):
        there, here = tensor.shape[1] - extra, shape[1] - extra
        if min(there, here) > 0 and isqrt(there) ** 2 == there and isqrt(here) ** 2 == here:
            if tensor.shape[2] != shape[2]:
                return None
            first, grid = tensor[:, :extra], tensor[:, extra:]
            return torch.cat([first, positions(grid, isqrt(here))], 1)
    return None


def positions(grid: Tensor, side: int) -> Tensor:
    """Interpolate embeddings of a square grid of positions: (1, g², D) -> (1, side², D).

    Bicubic, as An Image is Worth 16x16 Words (arXiv:2010.11929, section 3.2) and its successors.
    """
    old = isqrt(grid.shape[1])
    square = grid.float().mT.unflatten(2, (old, old))
    new = F.interpolate(square, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return new.flatten(2).mT.to(grid.dtype)


def patches(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """A patch embedding for patches of another size: (D, C, p, q) -> (D, C, *size).

    The pseudo-inverse resize of FlexiViT (arXiv:2212.08013, section 3.4): an enlarged patch gets
    just the embedding that the patch had.
    """
    old = (kernel.shape[2], kernel.shape[3])
    basis = torch.eye(old[0] * old[1]).view(-1, 1, *old)
    matrix = F.interpolate(basis, size, mode="bilinear", antialias=True, align_corners=False)
    inverse = torch.linalg.pinv(matrix.flatten(1))  # (size², p q) resizes; its inverse does weights
    return (kernel.float().flatten(2) @ inverse.T).unflatten(2, size).to(kernel.dtype)
