"""TiCo: Transformation Invariance and Covariance Contrast. arXiv:2206.10698"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import INVARIANCE
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import Teacher, cosine, mlp
from unlabel.ranges import Count, Decay, NonNegative, Share


class TiCo(Method):
    """Match a momentum encoder's view; avoid directions in which all embeddings are large."""

    logs = (LOSS, INVARIANCE, Metric("contrast", "covariance term of the loss", better="lower"))
    covariance: Tensor  # C, the moving average of the embeddings' second moments

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        augment_: Augment,
        width: Count = 4096,
        dim: Count = 256,
        decay: Decay = 0.9,  # beta
        contrast: NonNegative = 8.0,  # rho
        momentum: Share = 0.99,
    ):
        super().__init__(encoder, data)
        self.augment, self.augment_ = augment, augment_
        self.project = mlp(encoder.dim, width, dim)
        self.online = nn.Sequential(encoder, self.project)
        self.target = Teacher(self.online)
        self.register_buffer("covariance", torch.zeros(dim, dim))
        self.decay, self.contrast, self.momentum = decay, contrast, momentum

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z = F.normalize(gather(self.online(self.augment(batch.x))).float(), dim=1)
        z_ = F.normalize(gather(self.target(self.augment_(batch.x))).float(), dim=1)
        now = second_moments(z)
        moments = torch.lerp(now.detach(), self.covariance, self.decay)  # C of this step
        invariance, contrast = 1 - (z * z_).sum(1).mean(), (moments * now).sum()
        self.measure(lambda: {"invariance": invariance, "contrast": contrast})
        yield invariance + self.contrast * contrast
        self.target.follow(self.online, cosine(self.momentum, 1, batch.t), batch.share)
        self.covariance = self.covariance.lerp(now.detach(), 1 - self.decay**batch.share)

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment_(x))


def second_moments(z: Tensor) -> Tensor:
    """The mean of z zᵀ over embeddings (B, D) -> (D, D), in float32.

    So the mean of zᵀ C z over the batch is the sum of C times these.
    """
    with torch.autocast(z.device.type, enabled=False):
        return z.T @ z / len(z)
