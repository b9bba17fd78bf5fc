"""Whitening for Self-Supervised Representation Learning (W-MSE). arXiv:2007.06346"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._views import compare
from unlabel.method.byol import regression
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, PositiveShare


class WMSE(Method):
    """Whiten the embeddings, then make two views' embeddings agree. There are no negatives."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 1024,
        dim: Count = 64,
        size: Count = 128,  # images that are whitened together, section 3.1's sub-batch
        repeats: Count = 1,  # how often the batch is divided anew
        shrink: PositiveShare = 1e-3,  # share of the identity in the covariance
    ):
        super().__init__(encoder, data)
        self.augment, self.size, self.repeats, self.shrink = augment, size, repeats, shrink
        self.project = mlp(encoder.dim, width, dim)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = self.embed(self.encoder(self.augment.pair(batch.x)))
        z, z_ = gather(views, views=2).chunk(2)
        losses = []
        for _ in range(self.repeats):
            order = torch.randperm(len(z), device=z.device)
            for part in order.chunk(max(1, len(z) // self.size)):
                losses.append(regression(self.whiten(z[part]), self.whiten(z_[part])))
        yield torch.stack(losses).mean()  # equation 3

    def whiten(self, z: Tensor) -> Tensor:
        return whiten(z, self.shrink)

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def whiten(z: Tensor, shrink: float) -> Tensor:
    """Equation 4: give embeddings (B, D) mean 0 and a covariance of 1, in float32 -> (B, D).

    The covariance's inverse root is that of its Cholesky factor, section 3.2.
    """
    with torch.autocast(z.device.type, enabled=False):
        z = z.float() - z.float().mean(0)
        one = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        covariance = torch.lerp(z.T @ z / (len(z) - 1), one, shrink)
        factor, wrong = torch.linalg.cholesky_ex(covariance)  # without a GPU's wait for `wrong`
        white = torch.linalg.solve_triangular(factor, z.T, upper=False).T
        return white.where(wrong == 0, torch.nan)
