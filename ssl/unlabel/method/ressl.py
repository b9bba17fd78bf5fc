"""ReSSL: Relational Self-Supervised Learning with Weak Augmentation. arXiv:2107.09282"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method, Settings, _queue
from unlabel.method._views import compare
from unlabel.nn.distributed import gather
from unlabel.nn.layers import Teacher, mlp
from unlabel.nn.losses import cosine_similarities
from unlabel.ranges import Count, Positive, Share


class ReSSL(Method):
    """A view's similarities to other images match those of a momentum teacher's weaker view."""

    queue: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        augment_: Augment,  # the teacher's, weaker
        width: Count = 4096,
        dim: Count = 512,
        queue: Count = 131072,
        momentum: Share = 0.999,
        temperature: Positive = 0.1,
        temperature_teacher: Positive = 0.04,
    ):
        super().__init__(encoder, data)
        self.augment, self.augment_ = augment, augment_
        self.project = mlp(encoder.dim, width, dim)
        self.student = nn.Sequential(encoder, self.project)
        self.teacher = Teacher(self.student)
        self.register_buffer("queue", F.normalize(torch.randn(queue, dim), dim=1))
        self.momentum, self.temperature = momentum, temperature
        self.temperature_teacher = temperature_teacher

    @classmethod
    def fitted(cls, settings: Settings, images: int, batch: int) -> Settings:
        return _queue.fitted(settings, images, batch, least=1)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z = self.student(self.augment(batch.x))
        t = F.normalize(self.teacher(self.augment_(batch.x)).float(), dim=1)
        relation = relations(t, self.queue, self.temperature_teacher).exp()
        yield -(relation * relations(z, self.queue, self.temperature)).sum(1).mean()  # equation 5
        self.teacher.follow(self.student, self.momentum, batch.share)
        self.queue = torch.cat([gather(t), self.queue])[: len(self.queue)]

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment_(x))


def relations(z: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Equations 3 and 4: log shares of the similarity to others, (B, D), (K, D) -> (B, K)."""
    return (cosine_similarities(z, others) / temperature).log_softmax(1)
