"""Extracting and Composing Robust Features with Denoising Autoencoders. Vincent et al. 2008"""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.nn.decoders import Decoder
from unlabel.nn.draws import normal, uniform
from unlabel.ranges import Count, Share

Corruption = Literal["masking", "gaussian", "salt_and_pepper"]


class Denoising(Method):
    """Encode a corrupted image as one short vector and reconstruct the clean image from it."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        corruption: Corruption = "masking",
        level: Share = 0.25,
        width: Count = 32,
    ):
        super().__init__(encoder, data)
        self.corruption, self.level = corruption, level
        self.decode = Decoder(encoder.dim, data.shape, width)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        corrupted = corrupt(batch.x, self.corruption, self.level)
        yield F.mse_loss(self.decode(self.encoder(corrupted)), batch.x)

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        corrupted = corrupt(x, self.corruption, self.level)
        clean = self.decode(self.encoder(corrupted)).clamp(0, 1)
        return {"image": x, "corrupted": corrupted.clamp(0, 1), "reconstruction": clean}


def corrupt(x: Tensor, corruption: Corruption, level: float) -> Tensor:
    """The stochastic mapping q_D of images in [0, 1]: (B, C, H, W) -> (B, C, H, W).

    Masking sets a share `level` of the values to 0; salt and pepper sets them to 0 or 1 at random.
    Gaussian adds noise of deviation `level` to every value (Vincent et al. 2010, section 3.3).
    """
    shape = x.shape[1:]
    if corruption == "gaussian":
        return x + level * normal(x, *shape)
    value = torch.zeros_like(x)
    if corruption == "salt_and_pepper":
        value = uniform(x, *shape).round()
    return torch.where(uniform(x, *shape) < level, value, x)
