"""Rotations by quarter turns."""

import torch
from torch import Tensor

from unlabel.augment.transform import Pointwise, Size
from unlabel.errors import UserError
from unlabel.nn.draws import chosen, integers
from unlabel.ranges import Share


class Rotate(Pointwise):
    """With probability p, rotate by 90, 180 or 270 degrees, counter-clockwise."""

    def __init__(self, p: Share = 0.75):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        """The number of quarter turns: (B, 1)."""
        return integers(x, 1, 4, 1) * chosen(x, self.p)

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        return rotate(x, draw[:, 0])

    def size(self, before: Size) -> Size:
        check_square(before)
        return before


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate square images (B, C, S, S) counter-clockwise by their numbers of quarter turns (B,).

    Raises `UserError` if the images are not square.
    """
    check_square((x.shape[2], x.shape[3]))
    turns = turns.view(-1, 1, 1, 1)
    x = torch.where(turns % 2 == 1, x.mT.flip(2), x)
    return torch.where(turns >= 2, x.flip(2, 3), x)


def check_square(size: Size) -> None:
    """Raise `UserError` if images of this size cannot be rotated by quarter turns in a batch."""
    if size[0] != size[1]:
        raise UserError(
            f"images of {size[0]} x {size[1]} pixels cannot be rotated by 90 degrees in a batch; "
            "choose a square size in the dataset's recipe"
        )
