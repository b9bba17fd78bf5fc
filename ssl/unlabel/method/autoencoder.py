"""Reducing the Dimensionality of Data with Neural Networks. Hinton and Salakhutdinov 2006"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.nn.decoders import Decoder
from unlabel.ranges import Count


class Autoencoder(Method):
    """Encode an image as one short vector and reconstruct it from that vector alone."""

    def __init__(self, encoder: Encoder, data: Data, width: Count = 32):
        super().__init__(encoder, data)
        self.decode = Decoder(encoder.dim, data.shape, width)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        yield F.mse_loss(self.decode(self.encoder(batch.x)), batch.x)

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        return {"image": x, "reconstruction": self.decode(self.encoder(x)).clamp(0, 1)}
