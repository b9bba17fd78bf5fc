"""Matrices that resample the rows or columns of images, a different one for each image."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Neighbours(NamedTuple):
    """A sparse resampling matrix: each of `out` rows is a weighted mean of two adjacent rows.

    Enlarging an image needs no more than two rows. On a CPU, gathering them is 2.5 times as fast as
    a product with a mostly zero matrix, and 4 times for (transposed) columns of 224 pixels.
    """

    first: Tensor  # int64 (B, out): index of the first row, below size - 1; the second is the next
    share: Tensor  # (B, out): weight of the second row
    size: int  # number of input rows

    def matrix(self) -> Tensor:
        """The same as a dense matrix: (B, out, size)."""
        first, share = self.first.unsqueeze(2), self.share.unsqueeze(2)
        matrix = share.new_zeros(*self.share.shape, self.size)
        return matrix.scatter_(2, first, 1 - share).scatter_(2, first + 1, share)

    def flipped(self, chosen: Tensor) -> "Neighbours":
        """Reverse the output rows of the images where `chosen`, bool (B, 1), is true."""
        first = torch.where(chosen, self.first.flip(1), self.first)
        return Neighbours(first, torch.where(chosen, self.share.flip(1), self.share), self.size)

    def of(self, x: Tensor) -> Tensor:
        """Resample the rows of images: (B, C, size, W) -> (B, C, out, W)."""
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
    """`resize` for stretches of at most `out` pixels: (B, 1), (B, 1) -> (B, out, size).

    `size` must be at least 2.
    """
    centre = (torch.arange(out, device=start.device) + 0.5) / out
    position = ((start + length * centre) * size - 0.5).clamp_(0, size - 1)  # (B, out)
    first = position.floor().clamp_(max=size - 2)
    return Neighbours(first.long(), position - first, size)


def resize(size: int, out: int, start: Tensor, length: Tensor) -> Tensor:
    """The matrix (B, out, size) that resizes a stretch of `size` pixels to `out` pixels.

    `start` and `length` (B, 1) are shares of `size`. Bilinear. When shrinking, the triangle kernel
    widens, as in Pillow's antialiasing.
    """
    pixel = torch.arange(size, device=start.device) + 0.5
    centre = (torch.arange(out, device=start.device) + 0.5) / out
    position = (start + length * centre) * size  # (B, out)
    reach = (length * size / out).clamp(min=1).unsqueeze(2)
    # max(0, 1 - |position - pixel| / reach), in place: twice as fast
    weight = (position.unsqueeze(2) - pixel).abs_().mul_(-1 / reach).add_(1).clamp_(min=0)
    return weight.mul_(1 / weight.sum(2, keepdim=True))


def gaussian(size: int, sigma: Tensor) -> Tensor:
    """The matrix (B, size, size) of a Gaussian blur of sigma (B, 1) pixels; the identity for 0.

    The kernel is cut and renormalised at the border.
    """
    pixel = torch.arange(size, device=sigma.device)
    exponent = (pixel[:, None] - pixel).square() / -2 / sigma.clamp(min=1e-3).square().unsqueeze(2)
    # Weights below e⁻¹⁶ vanish in float32 sums, and as denormal numbers they halve a CPU's speed.
    return exponent.masked_fill(exponent < -16, -torch.inf).softmax(2)


def dense(rows: Tensor | Neighbours) -> Tensor:
    """A matrix or `Neighbours` as a dense matrix (B, out, size)."""
    return rows.matrix() if isinstance(rows, Neighbours) else rows
