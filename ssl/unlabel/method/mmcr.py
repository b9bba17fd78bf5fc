"""Learning Efficient Coding of Natural Images with Maximum Manifold Capacity Representations.

arXiv:2303.03307
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._views import compare
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, NonNegative


class MMCR(Method):
    """Average each image's views; make these centroids long and their directions many."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        views: Count = 40,
        width: Count = 512,
        dim: Count = 128,
        compression: NonNegative = 0.0,  # lambda
    ):
        super().__init__(encoder, data)
        self.augment, self.views, self.compression = augment, views, compression
        self.project = mlp(encoder.dim, width, dim)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = [self.embed(self.encoder(self.augment(batch.x))) for _ in range(self.views)]
        z = F.normalize(torch.stack([gather(z) for z in views], 1).float(), dim=2)  # (B, V, D)
        loss = -nuclear_norm(z.mean(1))
        if self.compression:
            loss = loss + self.compression * nuclear_norm(z).mean()  # of each image's manifold
        yield loss  # equation 6

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def nuclear_norm(z: Tensor) -> Tensor:
    """The sum of the singular values, in float32: (..., N, D) -> (...)."""
    return torch.linalg.svdvals(z.float()).sum(-1)
