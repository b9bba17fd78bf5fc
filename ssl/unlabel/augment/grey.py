"""Conversion to greyscale."""

import torch
from torch import Tensor

from unlabel.augment.colour import same_and_grey
from unlabel.augment.transform import Colour
from unlabel.nn.draws import chosen
from unlabel.ranges import Share


class Grey(Colour):
    """Conversion to greyscale with probability p: luma, or the mean of other than three channels.

    The mean is the usual choice for satellite images, as in SSL4EO-S12 (arXiv:2211.07044).
    """

    def __init__(self, p: Share = 0.2):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        return chosen(x, self.p)

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        same, grey = same_and_grey(mean.shape[1], mean.device)
        return torch.where(draw.unsqueeze(2), grey, same), torch.zeros_like(mean)
