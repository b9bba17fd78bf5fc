"""Representation Learning with Contrastive Predictive Coding. arXiv:1807.03748

Version 2: Data-Efficient Image Recognition with Contrastive Predictive Coding. arXiv:1905.09272
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment, Size
from unlabel.augment.tiles import join, overlapping, overlapping_size
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.method import LOSS, Batch, Method, Settings
from unlabel.nn.losses import RETRIEVAL, info_nce, retrieval
from unlabel.ranges import Count, Positive


class CPC(Method):
    """Encode overlapping patches; from those in the rows above, predict which patch is below."""

    logs = (LOSS, *RETRIEVAL)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        grid: Count = 7,  # patches in a row and in a column
        steps: Count = 5,  # rows that are predicted from each row
        width: Count = 256,
        temperature: Positive = 0.1,
    ):
        super().__init__(encoder, data)
        self.augment, self.grid, self.temperature = augment, grid, temperature
        overlapping_size((data.shape[1], data.shape[2]), grid)
        if steps >= grid:
            raise UserError(
                f"method.steps is {steps}, but there are {grid} rows of patches; "
                f"predict at most {grid - 1} of them"
            )
        self.look = nn.Sequential(_Above(encoder.dim, width), nn.ReLU(), _Above(width, width))
        self.predict = nn.ModuleList(nn.Linear(width, encoder.dim) for _ in range(steps))

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        return [size, overlapping_size(settings["augment"].size(size), settings["grid"])]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        tiles = overlapping(self.augment(batch.x), self.grid)  # (B, g, g, C, h, w)
        z = self.encoder(tiles.flatten(0, 2)).view(*tiles.shape[:3], -1)  # (B, g, g, D)
        context = self.look(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        pairs = []
        for k, predict in enumerate(self.predict, 1):  # equation 4, k rows below
            guess = predict(context[:, :-k]).flatten(0, 2)
            pairs.append(info_nce(guess, z[:, k:].flatten(0, 2), self.temperature))
        self.measure(lambda: retrieval(*pairs[0]))
        yield torch.stack([F.cross_entropy(*pair) for pair in pairs]).mean()

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        return {
            "image": x,
            "its patches": join(overlapping(x, self.grid).flatten(1, 2), self.grid, 1),
        }


class _Above(nn.Module):
    """A convolution that sees a position's row and the row above: (B, D, g, g) -> (B, E, g, g)."""

    def __init__(self, dim: int, out: int):
        super().__init__()
        self.convolve = nn.Conv2d(dim, out, (2, 3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolve(F.pad(x, (1, 1, 1, 0)))
        return y
