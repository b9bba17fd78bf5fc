"""iBOT: Image BERT Pre-Training with Online Tokenizer. arXiv:2111.07832"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch
from unlabel.method._patches import PatchMethod, TokenScores, count_hidden, with_patches
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import average
from unlabel.nn.layers import Teacher, cosine
from unlabel.nn.patches import random_mask
from unlabel.ranges import Count, PartialShare, Positive, Share


class IBOT(PatchMethod):
    """A momentum teacher's prototypes, of the other view and of the student's hidden patches."""

    logs = (LOSS, Metric("patch_loss", "loss of the hidden patches", better="lower"))
    centre: Tensor  # of the teacher's outputs for images and for patches (2, K)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        hidden: PartialShare = 0.3,
        width: Count = 2048,
        dim: Count = 256,
        prototypes: Count = 8192,
        norm: bool = False,  # batch norm in the heads
        shared: bool = True,  # one head for images and patches
        momentum: Share = 0.996,
        momentum_centre: Share = 0.9,
        temperature: Positive = 0.1,
        temperature_teacher: Positive = 0.04,
    ):
        super().__init__(with_patches(encoder, "ibot"), data)
        self.augment = augment
        self.patches, self.hidden = self.encoder.grid**2, count_hidden(self.encoder, hidden)
        self.token = nn.Parameter(torch.randn(encoder.dim) * 0.02)
        self.student = TokenScores(self.encoder, self.hidden, width, dim, prototypes, norm, shared)
        self.teacher = Teacher(self.student)
        self.register_buffer("centre", torch.zeros(2, prototypes))
        self.momentum, self.momentum_centre = momentum, momentum_centre
        self.temperature, self.temperature_teacher = temperature, temperature_teacher

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = [self.augment(batch.x), self.augment(batch.x)]
        seen = [(view, random_mask(view, self.patches, self.hidden)) for view in views]
        with torch.no_grad():
            t, t_ = (self.teacher.module(view, mask) for view, mask in seen)
            images = self.targets([t.image, t_.image], 0)
            patches = self.targets([t.patches, t_.patches], 1)
        s, s_ = (self.student(view, mask, self.token) for view, mask in seen)
        image = (self.match(s.image, images[1]) + self.match(s_.image, images[0])) / 2
        patch = (self.match(s.patches, patches[0]) + self.match(s_.patches, patches[1])) / 2
        self.measure(lambda: {"patch_loss": patch})
        yield image + patch + self.regulariser([s.h, s_.h])
        self.teacher.follow(self.student, cosine(self.momentum, 1, batch.t), batch.share)
        means = [(t.image + t_.image).mean(0) / 2, (t.patches + t_.patches).mean(0) / 2]
        mean = average(torch.stack(means))
        self.centre = self.centre.lerp(mean, 1 - self.momentum_centre**batch.share)

    def match(self, scores: Tensor, target: Tensor) -> Tensor:
        """Equations 1 to 3: the cross-entropy of the student's scores, (B, K) each -> ()."""
        return F.cross_entropy(scores / self.temperature, target)

    def targets(self, scores: list[Tensor], of: int) -> list[Tensor]:
        """Each view's shares of the prototypes (B, K), by the teacher: centred and sharpened."""
        return [((each - self.centre[of]) / self.temperature_teacher).softmax(1) for each in scores]

    def regulariser(self, h: list[Tensor]) -> Tensor | float:
        """Another term of the loss, of each view's features (B, D)."""
        return 0.0

    def embed(self, h: Tensor) -> Tensor:
        z: Tensor = self.student.head[0](h)
        return z

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))
