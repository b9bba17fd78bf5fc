"""Where in an image a view was taken."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unlabel.augment.transform import Draw


def locations(draw: Draw, size: Sequence[int], x: Tensor) -> Tensor:
    """Where the cells of a view's map of `size` (h, w) are in the image: -> (B, h * w, 2).

    Row and column, as shares of the image. The draw may have a `crop` and then a `flip`.
    """
    down, across = ((torch.arange(n, device=x.device) + 0.5) / n for n in size)
    across = across.expand(len(x), -1)
    if "flip" in draw:
        across = torch.where(draw["flip"], 1 - across, across)
    row, column = down.expand(len(x), -1), across
    if "crop" in draw:
        top, left, tall, wide = draw["crop"].split(1, dim=1)
        row, column = top + tall * row, left + wide * column
    row, column = row.unsqueeze(2).expand(-1, -1, size[1]), column.unsqueeze(1)
    return torch.stack([row, column.expand_as(row)], 3).flatten(1, 2)
