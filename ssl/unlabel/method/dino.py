"""Emerging Properties in Self-Supervised Vision Transformers (DINO). arXiv:2104.14294"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._views import compare, in_one_pass
from unlabel.metric import Metric
from unlabel.nn.distributed import average
from unlabel.nn.layers import Norm, Prototypes, Teacher, cosine, mlp
from unlabel.nn.losses import cross_prediction
from unlabel.ranges import Count, Natural, Positive, Share


class DINO(Method):
    """Match a momentum teacher's prototype assignment of another view, centred and sharpened."""

    logs = (LOSS, Metric("prototypes_used", "prototypes in use"))
    centre: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        augment_: Augment,
        local: Augment,
        crops: Natural = 8,  # student views from `local`, besides the two global views
        width: Count = 2048,
        dim: Count = 256,
        prototypes: Count = 65536,
        momentum: Share = 0.996,
        momentum_centre: Share = 0.9,
        temperature: Positive = 0.1,
        temperature_start: Positive = 0.04,  # of the teacher; rises to the next in a straight line
        temperature_teacher: Positive = 0.07,
        warm: Share = 0.3,  # share of training in which it rises
        norm: bool = False,  # batch norm in the projector
        frozen: Share = 0.01,  # share of training during which the last layer is frozen
    ):
        super().__init__(encoder, data)
        self.augment, self.augment_ = augment, augment_
        self.local, self.crops = local, crops
        kind: Norm = "batch" if norm else "none"
        self.project = mlp(encoder.dim, width, width, dim, norm=kind, activation=nn.GELU)
        self.prototypes = Prototypes(dim, prototypes)
        self.student = nn.Sequential(encoder, self.project, self.prototypes)
        self.teacher = Teacher(self.student)
        self.register_buffer("centre", torch.zeros(prototypes))
        self.momentum, self.momentum_centre = momentum, momentum_centre
        self.temperature, self.frozen = temperature, frozen
        self.sharp, self.soft, self.warm = temperature_start, temperature_teacher, warm

    def step(self, batch: Batch) -> Iterator[Tensor]:
        self.prototypes.requires_grad_(batch.t >= self.frozen)
        views = [self.augment(batch.x), self.augment_(batch.x)]
        t = torch.cat([self.teacher(view) for view in views])  # (2B, K)
        s = [self.student(view) for view in views]  # (B, K) each
        s += in_one_pass(self.student, [self.local(batch.x) for _ in range(self.crops)])
        p = ((t - self.centre) / self.temperature_at(batch.t)).softmax(1)
        self.measure(lambda: {"prototypes_used": perplexity(average(p.mean(0)))})
        yield cross_prediction([each / self.temperature for each in s], p.chunk(2))  # equation 3
        self.teacher.follow(self.student, cosine(self.momentum, 1, batch.t), batch.share)
        mean = average(t.mean(0))
        self.centre = self.centre.lerp(mean, 1 - self.momentum_centre**batch.share)  # equation 4

    def temperature_at(self, t: float) -> float:
        """The teacher's temperature at progress t (section 3.2)."""
        if t >= self.warm:
            return self.soft
        return self.sharp + (self.soft - self.sharp) * t / self.warm

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        local = {"a local view": self.local(x)} if self.crops else {}
        return compare(self, x, self.augment(x), self.augment_(x)) | local


def perplexity(share: Tensor) -> Tensor:
    """How many prototypes are in use, exp of the entropy of their shares: (K,) -> ()."""
    return (-(share * share.clamp(min=1e-12).log()).sum()).exp()
