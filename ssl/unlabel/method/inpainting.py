"""Context Encoders: Feature Learning by Inpainting. arXiv:1604.07379"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import ADVERSARIAL
from unlabel.method.gan import discriminator_loss, generator_loss
from unlabel.metric import Metric
from unlabel.nn.decoders import Decoder, Discriminator
from unlabel.nn.draws import integers
from unlabel.ranges import Count, NonNegative


class Inpainting(Method):
    """Fill in a square hole, half as wide as the image, from its surroundings."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        adversarial: NonNegative = 1e-3,  # weight of the loss from a discriminator of the holes
        width: Count = 32,
    ):
        super().__init__(encoder, data)
        self.side, self.adversarial = min(data.shape[1:]) // 2, adversarial
        self.decode = Decoder(encoder.dim, data.shape, width)
        if adversarial:
            self.discriminate = Discriminator((data.shape[0], self.side, self.side), width)

    @classmethod
    def logged(cls, settings: Mapping[str, Any]) -> Sequence[Metric]:
        return ADVERSARIAL if settings["adversarial"] else (LOSS,)

    def players(self) -> Sequence[nn.Module]:
        fill = nn.ModuleList([self.encoder, self.decode])
        return [self.discriminate, fill] if self.adversarial else [fill]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        hole = holes(batch.x, self.side)
        drawn = self.fill(batch.x, hole)
        real, fake = (contents(x, hole, self.side) for x in (batch.x, drawn))
        loss = F.mse_loss(fake, real)  # equation 1
        if self.adversarial:
            yield discriminator_loss(self.discriminate(real), self.discriminate(fake.detach()))
            deceive = generator_loss(self.discriminate(fake))  # equation 2
            loss = (1 - self.adversarial) * loss + self.adversarial * deceive  # equation 3
        yield loss

    def fill(self, x: Tensor, hole: Tensor) -> Tensor:
        """Predict the image from all but its hole, which is mean grey: -> (B, C, H, W)."""
        drawn: Tensor = self.decode(self.encoder(torch.where(hole, self.encoder.mean, x)))
        return drawn

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        hole, mean = holes(x, self.side), self.encoder.mean
        filled = torch.where(hole, self.fill(x, hole).float(), x).clamp(0, 1)
        return {"image": x, "with a hole": torch.where(hole, mean, x), "filled in": filled}


def holes(x: Tensor, side: int) -> Tensor:
    """A square at a random place in each image, true inside: (B, C, H, W) -> (B, C, H, W)."""
    b, c, height, width = x.shape

    def within(size: int) -> Tensor:  # (B, size)
        start = integers(x, 0, size - side + 1, 1)
        pixel = torch.arange(size, device=x.device)
        return (pixel >= start) & (pixel < start + side)

    square = within(height)[:, None, :, None] & within(width)[:, None, None, :]
    return square.expand(b, c, height, width)


def contents(x: Tensor, hole: Tensor, side: int) -> Tensor:
    """The contents of each square hole: (B, C, H, W) -> (B, C, side, side)."""
    within = torch.arange(side, device=x.device)
    top, left = hole[:, 0].any(2).int().argmax(1), hole[:, 0].any(1).int().argmax(1)  # (B,)
    rows = (top[:, None] + within)[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3])
    columns = (left[:, None] + within)[:, None, None, :].expand(-1, x.shape[1], side, -1)
    return x.gather(2, rows).gather(3, columns)
