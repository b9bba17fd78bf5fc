"""Exploring Simple Siamese Representation Learning. arXiv:2011.10566"""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import PROJECTOR_DEVIATION
from unlabel.method._views import compare
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.nn.spectrum import deviation
from unlabel.ranges import Count


class SimSiam(Method):
    """Predict the other view's projection, with a stop-gradient on it. Nothing else is needed."""

    logs = (LOSS, PROJECTOR_DEVIATION)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 512,  # of the predictor's hidden layer
        dim: Count = 2048,
        layers: Count = 3,  # of the projector
    ):
        super().__init__(encoder, data)
        self.augment = augment
        self.project = mlp(encoder.dim, *[dim] * layers, norm_out=True)  # f, after the encoder
        self.predict = mlp(dim, width, dim)  # h

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z1 = self.project(self.encoder(self.augment(batch.x)))
        z2 = self.project(self.encoder(self.augment(batch.x)))
        p1, p2 = self.predict(z1), self.predict(z2)
        self.measure(lambda: {"projector_deviation": deviation(gather(z1))})
        yield distance(p1, z2) / 2 + distance(p2, z1) / 2  # equation 2

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def distance(p: Tensor, z: Tensor) -> Tensor:
    """Equation 1, the negative cosine similarity with a stop-gradient on z: (B, D) each -> ()."""
    return -F.cosine_similarity(p.float(), z.detach().float()).mean()
