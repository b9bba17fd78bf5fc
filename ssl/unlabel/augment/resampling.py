"""Rows (or columns) of images that are means of other rows, chosen anew for each image."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Neighbours(NamedTuple):
    """Each of `out` rows a mean of two neighbours among `size`, as where images are enlarged.

    On a CPU, taking two rows is 2.5 times as fast as a product with a matrix that is mostly zeros,
    of large images more: for columns of 224 pixels, which are turned to be rows, 4 times.
    """

    first: Tensor  # int64 (B, out): the place of the one, below size - 1; the other is the next
    share: Tensor  # (B, out): the other's weight
    size: int

    def matrix(self) -> Tensor:
        """(B, out, size)"""
        first, share = self.first.unsqueeze(2), self.share.unsqueeze(2)
        matrix = share.new_zeros(*self.share.shape, self.size)
        return matrix.scatter_(2, first, 1 - share).scatter_(2, first + 1, share)

    def flipped(self, chosen: Tensor) -> "Neighbours":
        """In reverse order, of the images that are chosen: bool (B, 1)."""
        first = torch.where(chosen, self.first.flip(1), self.first)
        return Neighbours(first, torch.where(chosen, self.share.flip(1), self.share), self.size)

    def of(self, x: Tensor) -> Tensor:
        """(B, C, size, W) -> (B, C, out, W)"""
        b, c, _, width = x.shape
        image = torch.arange(b * c, device=x.device).view(b, c, 1, 1) * self.size
        place = torch.stack([self.first, self.first + 1], 2).unsqueeze(1) + image  # (B, C, out, 2)
        weight = torch.stack([1 - self.share, self.share], 2).unsqueeze(1).expand_as(place)
        rows = embedding_bag(
            place.view(-1, 2),
            x.to(self.share).reshape(-1, width),  # autocast may have left it in bfloat16
            mode="sum",
            per_sample_weights=weight.reshape(-1, 2),
        )
        return rows.view(b, c, -1, width)


def enlarge(size: int, out: int, start: Tensor, length: Tensor) -> Neighbours:
    """`resize`, where no stretch is longer than `out` pixels; `size` is two or more."""
    centre = (torch.arange(out, device=start.device) + 0.5) / out
    position = ((start + length * centre) * size - 0.5).clamp_(0, size - 1)  # (B, out)
    first = position.floor().clamp_(max=size - 2)
    return Neighbours(first.long(), position - first, size)


def resize(size: int, out: int, start: Tensor, length: Tensor) -> Tensor:
    """The matrix (B, out, size) that resizes a stretch of `size` pixels to `out` pixels.

    Start and length (B, 1) are shares of `size`. Bilinear; where pixels shrink the triangle
    widens with them, as Pillow's antialiasing does.
    """
    pixel = torch.arange(size, device=start.device) + 0.5
    centre = (torch.arange(out, device=start.device) + 0.5) / out
    position = (start + length * centre) * size  # (B, out)
    reach = (length * size / out).clamp(min=1).unsqueeze(2)
    # max(0, 1 - |position - pixel| / reach), in place: twice as fast
    weight = (position.unsqueeze(2) - pixel).abs_().mul_(-1 / reach).add_(1).clamp_(min=0)
    return weight.mul_(1 / weight.sum(2, keepdim=True))


def gaussian(size: int, sigma: Tensor) -> Tensor:
    """The matrix (B, size, size) of a Gaussian of sigma (B, 1) pixels; the identity for 0.

    At the border the kernel is cut and normalised again.
    """
    pixel = torch.arange(size, device=sigma.device)
    exponent = (pixel[:, None] - pixel).square() / -2 / sigma.clamp(min=1e-3).square().unsqueeze(2)
    # Weights below e⁻¹⁶ are lost in float32 and, as denormal numbers, halve the speed on a CPU.
    return exponent.masked_fill(exponent < -16, -torch.inf).softmax(2)


def dense(rows: Tensor | Neighbours) -> Tensor:
    """As a matrix (B, out, size)."""
    return rows.matrix() if isinstance(rows, Neighbours) else rows
