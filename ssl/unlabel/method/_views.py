"""What methods that compare views of images show of themselves."""

import torch
from torch import Tensor

from unlabel.method import Method
from unlabel.nn.losses import cosine_similarities


@torch.no_grad()
def compare(method: Method, x: Tensor, first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Images and two views of them (B, C, H, W) -> these, and one picture (1, 1, B, B).

    Its pixel (i, j) is the similarity of image i's first with image j's second view, where the
    method compares them: on the diagonal are the positives, all else are negatives.
    """
    h, h_ = method.encoder(first), method.encoder(second)
    z, z_ = method.embed(h), method.embed(h_)
    similarities = cosine_similarities(h if z is None else z, h_ if z_ is None else z_)
    return {
        "image": x,
        "one view": first,
        "another view": second,
        "similarity of each one view (row) with each other view (column); white: 1, black: 0":
            similarities.clamp(0, 1)[None, None],
    }  # fmt: skip
