"""VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning.

arXiv:2105.04906
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
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


class VICReg(Method):
    """Make two views' embeddings agree, keep each dimension's variance, decorrelate dimensions."""

    logs = (
        LOSS,
        INVARIANCE,
        Metric("variance", "variance term of the loss", better="lower"),
        Metric("covariance", "covariance term of the loss", better="lower"),
    )

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 8192,
        dim: Count = 8192,
        invariance: NonNegative = 25.0,  # λ
        variance: NonNegative = 25.0,  # μ
        covariance: NonNegative = 1.0,  # ν
    ):
        super().__init__(encoder, data)
        self.augment = augment
        self.project = mlp(encoder.dim, width, width, dim)  # the paper's expander
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z = gather(self.embed(self.encoder(self.augment(batch.x)))).float()
        z_ = gather(self.embed(self.encoder(self.augment(batch.x)))).float()
        s = F.mse_loss(z, z_)  # equation 5, averaged over dimensions too, as in algorithm 1
        v = variance(z) + variance(z_)
        c = covariance(z) + covariance(z_)
        self.measure(lambda: {"invariance": s, "variance": v, "covariance": c})
        yield self.invariance * s + self.variance * v + self.covariance * c  # equation 6

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def variance(z: Tensor, least: float = 1.0) -> Tensor:
    """Equation 1, how far each dimension's deviation is below `least`: (B, D) -> ()."""
    return F.relu(least - (z.var(0) + 1e-4).sqrt()).mean()


def covariance(z: Tensor) -> Tensor:
    """Equations 3 and 4, squared covariances of different dimensions, in float32: (B, D) -> ()."""
    with torch.autocast(z.device.type, enabled=False):
        z = z.float() - z.float().mean(0)
        c = z.T @ z / (len(z) - 1)
    return (c.square().sum() - c.diagonal().square().sum()) / z.shape[1]
