"""Barlow Twins: Self-Supervised Learning via Redundancy Reduction. arXiv:2103.03230"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import INVARIANCE
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, NonNegative


class BarlowTwins(Method):
    """Make each embedding dimension agree between views, and decorrelate the dimensions."""

    logs = (LOSS, INVARIANCE, Metric("redundancy", "redundancy term of the loss", better="lower"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 8192,
        dim: Count = 8192,
        redundancy: NonNegative = 0.0051,  # λ
    ):
        super().__init__(encoder, data)
        self.augment = augment
        self.project = mlp(encoder.dim, width, width, dim)
        self.redundancy = redundancy

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z = self.embed(self.encoder(self.augment(batch.x)))
        z_ = self.embed(self.encoder(self.augment(batch.x)))
        invariance, redundancy = barlow_twins(gather(z), gather(z_))
        self.measure(lambda: {"invariance": invariance, "redundancy": redundancy})
        yield invariance + self.redundancy * redundancy

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def barlow_twins(z: Tensor, z_: Tensor) -> tuple[Tensor, Tensor]:
    """The invariance and redundancy terms of equation 1: embeddings of two views, (B, D) each."""
    c = cross_correlation(z, z_)
    on = c.diagonal()
    return (1 - on).square().sum(), c.square().sum() - on.square().sum()


def cross_correlation(z: Tensor, z_: Tensor) -> Tensor:
    """The cross-correlation matrix, equation 2: (B, D) each -> (D, D), in float32."""
    with torch.autocast(z.device.type, enabled=False):
        a, b = ((v - v.mean(0)) / (v.std(0, correction=0) + 1e-5) for v in (z.float(), z_.float()))
        return a.T @ b / len(a)
