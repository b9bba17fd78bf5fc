"""With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning. arXiv:2104.14548"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method, Settings, _queue
from unlabel.method._views import compare
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.nn.losses import RETRIEVAL, cosine_similarities, info_nce, retrieval
from unlabel.ranges import Count, Positive


class NNCLR(Method):
    """A view's positive is the nearest neighbour of the other view among earlier embeddings."""

    logs = (LOSS, *RETRIEVAL)
    queue: Tensor  # Q, the support set

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 2048,
        width_predictor: Count = 4096,
        dim: Count = 256,
        layers: Count = 3,  # of the projector
        queue: Count = 98304,
        temperature: Positive = 0.1,
    ):
        super().__init__(encoder, data)
        self.augment = augment
        self.project = mlp(encoder.dim, *[width] * (layers - 1), dim, norm_out=True)
        self.predict = mlp(dim, width_predictor, dim)
        self.register_buffer("queue", F.normalize(torch.randn(queue, dim), dim=1))
        self.temperature = temperature

    @classmethod
    def fitted(cls, settings: Settings, images: int, batch: int) -> Settings:
        # the last batch at least: these are no negatives, and without any there is no neighbour
        return _queue.fitted(settings, images, batch, least=1)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z1 = self.project(self.encoder(self.augment(batch.x)))
        z2 = self.project(self.encoder(self.augment(batch.x)))
        p1, p2 = self.predict(z1), self.predict(z2)
        logits1, target = info_nce(nearest(z1, self.queue), p2, self.temperature)  # equation 3
        logits2, target = info_nce(nearest(z2, self.queue), p1, self.temperature)
        self.measure(lambda: retrieval(logits1, target))
        yield (F.cross_entropy(logits1, target) + F.cross_entropy(logits2, target)) / 2
        z1 = F.normalize(gather(z1.detach()).float(), dim=1)
        self.queue = torch.cat([z1, self.queue])[: len(self.queue)]

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


@torch.no_grad()
def nearest(z: Tensor, queue: Tensor) -> Tensor:
    """Equation 2, nearest neighbours in the queue of unit vectors: (B, D), (K, D) -> (B, D)."""
    return queue[cosine_similarities(z, queue).argmax(1)]
