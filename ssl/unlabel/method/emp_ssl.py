"""EMP-SSL: Towards Self-Supervised Learning in One Training Epoch. arXiv:2304.03977"""

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
from unlabel.ranges import Count, NonNegative, Positive


class EMPSSL(Method):
    """Many small crops of an image agree with their mean; each crop's batch fills the space."""

    logs = (LOSS, INVARIANCE, Metric("coding_rate", "total coding rate", unit="nats"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        views: Count = 20,
        width: Count = 4096,
        dim: Count = 512,
        invariance: NonNegative = 200.0,  # lambda
        epsilon: Positive = 0.2,  # the squared distortion that is allowed
    ):
        super().__init__(encoder, data)
        self.augment, self.views = augment, views
        self.project = mlp(encoder.dim, width, dim)
        self.invariance, self.epsilon = invariance, epsilon

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = [self.embed(self.encoder(self.augment(batch.x))) for _ in range(self.views)]
        z = F.normalize(torch.stack([gather(z) for z in views]).float(), dim=2)  # (V, B, D)
        invariance = -F.cosine_similarity(z, z.mean(0, keepdim=True), dim=2).mean()
        rate = coding_rate(z, self.epsilon).mean()
        self.measure(lambda: {"invariance": invariance, "coding_rate": rate})
        yield self.invariance * invariance - rate  # equation 3

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def coding_rate(z: Tensor, epsilon: float) -> Tensor:
    """Equation 2, the nats that code a batch up to a distortion: (V, B, D) -> (V,), in float32."""
    with torch.autocast(z.device.type, enabled=False):
        z, (images, dim) = z.float(), z.shape[1:]
        one = torch.eye(dim, dtype=z.dtype, device=z.device)
        return torch.logdet(one + dim / (images * epsilon) * z.mT @ z) / 2
