"""A student learns the features of a frozen teacher, by one of several losses."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._frozen import Recipe, dim_of, frozen
from unlabel.nn.distributed import gather
from unlabel.nn.relations import relational, similar
from unlabel.ranges import NonNegative


class Distillation(Method):
    """The loss compares the student's features with the teacher's.

    cosine: 1 - cosine similarity after a linear layer (AM-RADIO, arXiv:2312.06709, section 3.4).
    mse: squared distance after a linear layer (FitNets, arXiv:1412.6550, equation 3), of features
    without scale and offset (arXiv:2205.14141). relational: of distances and angles between images
    (arXiv:1904.05068). similar: of inner products between images (arXiv:1907.09682). The last two
    need no layer, so the student may have features of any length.
    """

    target: Tensor
    known: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        teacher: Recipe,
        loss: Literal["cosine", "mse", "relational", "similar"] = "cosine",
        distance: NonNegative = 25.0,  # weights of the relational losses
        angle: NonNegative = 50.0,
        cached: bool = False,  # the teacher sees images as they are, each once
    ):
        super().__init__(encoder, data)
        self.augment, self.settings, self.data = augment, teacher, data
        self.loss, self.distance, self.angle = loss, distance, angle
        dim = dim_of(teacher, data)
        self.project = nn.Linear(encoder.dim, dim) if loss in ("cosine", "mse") else None
        size = data.size if cached else 0
        self.register_buffer("target", torch.zeros(size, dim))
        self.register_buffer("known", torch.zeros(size, dtype=torch.bool))

    @cached_property
    def teacher(self) -> Encoder:
        """Made in the first step: a trained student needs none, and its file may be gone."""
        return frozen(self.settings, self.data)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x = self.augment(batch.x)
        h, t = self.encoder(x), self.taught(batch) if len(self.known) else self.see(x)
        yield self.compare(h, t)

    @torch.no_grad()
    def see(self, x: Tensor) -> Tensor:
        """What the teacher makes of images: (B, C, H, W) -> (B, E)."""
        return self.teacher.to(x.device)(x).float()

    def taught(self, batch: Batch) -> Tensor:
        """The teacher's features of the images themselves, which are kept: -> (B, E)."""
        i = gather(batch.i)  # of all processes, so that all decide alike
        if not self.known[i].all():
            self.target[i], self.known[i] = gather(self.see(batch.x)), True
        return self.target[batch.i]

    def compare(self, h: Tensor, t: Tensor) -> Tensor:
        """The loss of features (B, D) and a teacher's (B, E) -> ()."""
        if self.loss == "relational":
            return relational(gather(h), gather(t), self.distance, self.angle)
        if self.loss == "similar":
            return similar(gather(h), gather(t))
        p = self.embed(h).float()
        if self.loss == "mse":
            return F.mse_loss(p, F.layer_norm(t, t.shape[1:]))
        return 1 - F.cosine_similarity(p, t).mean()

    def embed(self, h: Tensor) -> Tensor:
        return h if self.project is None else self.project(h)
