"""Unsupervised Visual Representation Learning by Context Prediction. arXiv:1505.05192"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment, Size
from unlabel.augment.tiles import cut, join, take, tile
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method, Settings
from unlabel.method._metrics import PRETEXT_ACCURACY
from unlabel.nn.draws import integers
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, PositiveShare

CENTRE = 4  # of 9 cells in reading order


class RelativePosition(Method):
    """Predict which neighbour of an image's central patch another patch is, among eight.

    A patch is `share` of a cell of a 3 x 3 grid, placed at random: section 3's gap and jitter.
    With `framed`, each patch is shown in the middle of an empty picture of the image's size.
    """

    logs = (LOSS, PRETEXT_ACCURACY)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        share: PositiveShare = 2 / 3,
        framed: bool = False,
        width: Count = 4096,
    ):
        super().__init__(encoder, data)
        self.augment, self.share, self.framed, self.shape = augment, share, framed, data.shape[1:]
        self.classify = mlp(2 * encoder.dim, width, 8)  # figure 3: the layers that see both

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        patch = tile(settings["augment"].size(size), 3, 3, settings["share"])
        return [size] if settings["framed"] else [size, patch]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        place = integers(batch.x, 0, 8)  # in reading order
        logits = self.look(self.pair(self.augment(batch.x), place))
        self.measure(lambda: {"accuracy": (logits.argmax(1) == place).float().mean()})
        yield F.cross_entropy(logits, place)

    def pair(self, x: Tensor, place: Tensor) -> Tensor:
        """Images, places (B,) -> the central patch and the neighbour there (B, 2, C, h, w)."""
        cells = torch.stack([torch.full_like(place, CENTRE), cell(place)], 1)
        return take(cut(x, 3, 3, self.share), cells)

    def look(self, pair: Tensor) -> Tensor:
        """Pairs (B, 2, C, h, w) -> logits of the places (B, 8). Each patch is encoded alone."""
        x = F.layer_norm(pair.float(), pair.shape[2:], eps=1e-3)  # removes brightness as a cue
        x = x.flatten(0, 1) * self.encoder.std + self.encoder.mean
        if self.framed:
            high, wide = (a - b for a, b in zip(self.shape, x.shape[2:], strict=True))
            x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        h: Tensor = self.encoder(x)
        logits: Tensor = self.classify(h.view(len(pair), -1))
        return logits

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        place = torch.arange(len(x), device=x.device) % 8
        pair = self.pair(x, place)
        guess = put(pair, self.look(pair).argmax(1))
        return {"image": x, "a patch and its neighbour": put(pair, place), "predicted place": guess}


def cell(place: Tensor) -> Tensor:
    """Places around the centre, 0 to 7 -> cells of the 3 x 3 grid: (B,) -> (B,)."""
    return place + (place >= CENTRE)


def put(pair: Tensor, place: Tensor) -> Tensor:
    """Draw each patch and its neighbour in a grid: (B, 2, C, h, w), (B,) -> images."""
    grid = torch.full_like(pair[:, :1], 0.5).repeat(1, 9, 1, 1, 1)
    grid[:, CENTRE], grid[torch.arange(len(pair)), cell(place)] = pair[:, 0], pair[:, 1]
    return join(grid, 3, line=1)
