"""The pictures that all methods with views of images show."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unlabel.method import Method
from unlabel.nn.losses import cosine_similarities


def in_one_pass(function: Callable[[Tensor], Tensor], views: Sequence[Tensor]) -> list[Tensor]:
    """Apply a network to views of one size (B, C, h, w) at once -> a result (B, ...) for each.

    Batch norm sees all of them together, as in the official code of SwAV and DINO, where the head
    then sees all sizes at once and global views share a pass too.
    """
    return [*function(torch.cat(list(views))).chunk(len(views))] if views else []


@torch.no_grad()
def compare(method: Method, x: Tensor, first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Images and two views of each (B, C, H, W) -> these, and a similarity matrix (1, 1, B, B).

    Pixel (i, j) is the cosine similarity of image i's first view and image j's second view, after
    the projection head if there is one. Positive pairs are on the diagonal.
    """
    h, h_ = method.encoder(first), method.encoder(second)
    z, z_ = method.embed(h), method.embed(h_)
    similarities = cosine_similarities(h if z is None else z, h_ if z_ is None else z_)
    return {
        "image": x,
        "first view": first,
        "second view": second,
        "cosine similarity of first views (rows) and second views (columns); white is 1":
            similarities.clamp(0, 1)[None, None],
    }  # fmt: skip
