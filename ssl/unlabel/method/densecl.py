"""Dense Contrastive Learning for Self-Supervised Visual Pre-Training (DenseCL). arXiv:2011.09157"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.augment.tiles import take
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method, Settings, _queue
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import Teacher, mlp
from unlabel.nn.losses import RETRIEVAL, info_nce, retrieval
from unlabel.ranges import Count, Positive, Share


class DenseCL(Method):
    """MoCo for images and, at once, for positions: each is matched to the most similar one."""

    logs = (LOSS, *RETRIEVAL, Metric("dense_loss", "loss of the positions", better="lower"))
    queue: Tensor  # keys of images, and means of the keys of their positions (2, K, d)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 2048,
        dim: Count = 128,
        queue: Count = 65536,
        momentum: Share = 0.999,
        temperature: Positive = 0.2,
        dense: Share = 0.5,  # lambda, the weight of the positions
    ):
        super().__init__(encoder, data)
        self.augment = augment
        self.project = mlp(encoder.dim, width, dim, norm="none")
        self.query = _Branch(encoder, self.project, mlp(encoder.dim, width, dim, norm="none"))
        self.key = Teacher(self.query)
        self.register_buffer("queue", F.normalize(torch.randn(2, queue, dim), dim=2))
        self.momentum, self.temperature, self.dense = momentum, temperature, dense

    @classmethod
    def fitted(cls, settings: Settings, images: int, batch: int) -> Settings:
        return _queue.fitted(settings, images, batch, least=1)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        h, q, q_dense = self.query(self.augment(batch.x))
        h_, k, k_dense = self.key(self.augment(batch.x))
        match = correspondence(h, h_)  # (B, S)
        logits, target = info_nce(q, k, self.temperature, self.queue[0])
        alike = take(k_dense, match).flatten(0, 1)
        dense = info_nce(q_dense.flatten(0, 1), alike, self.temperature, self.queue[1])
        dense_loss = F.cross_entropy(*dense)  # equation 2
        self.measure(lambda: retrieval(logits, target) | {"dense_loss": dense_loss})
        yield (1 - self.dense) * F.cross_entropy(logits, target) + self.dense * dense_loss
        self.key.follow(self.query, self.momentum, batch.share)
        new = F.normalize(torch.stack([gather(k), gather(k_dense.mean(1))]).float(), dim=2)
        self.queue = torch.cat([new, self.queue], 1)[:, : self.queue.shape[1]]

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


class _Branch(nn.Module):
    """An encoder's features at S positions (B, S, D), of images (B, d) and positions (B, S, d)."""

    def __init__(self, encoder: Encoder, project: nn.Module, project_dense: nn.Module):
        super().__init__()
        self.encoder, self.project, self.project_dense = encoder, project, project_dense

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.encoder.in_chunks(self.encoder.maps, x).flatten(2).mT
        return maps, self.project(maps.mean(1)), self.project_dense(maps)


@torch.no_grad()
def correspondence(h: Tensor, h_: Tensor) -> Tensor:
    """Equation 3: each position's most similar one in the other view, (B, S, D) each -> (B, S)."""
    with torch.autocast(h.device.type, enabled=False):
        h, h_ = F.normalize(h.float(), dim=2), F.normalize(h_.float(), dim=2)
        return (h @ h_.mT).argmax(2)
