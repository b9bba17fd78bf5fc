"""Masked Siamese Networks for Label-Efficient Learning. arXiv:2204.07141"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch
from unlabel.method._patches import PatchMethod, count_hidden, with_patches
from unlabel.method._views import compare, in_one_pass
from unlabel.metric import Metric
from unlabel.nn.distributed import gather, local_rows
from unlabel.nn.draws import uniform
from unlabel.nn.layers import Prototypes, Teacher, cosine, mlp
from unlabel.nn.losses import sinkhorn
from unlabel.ranges import Count, Natural, NonNegative, PartialShare, Positive, Share


class MSN(PatchMethod):
    """From a view with hidden patches, predict the prototypes of another, whole view."""

    logs = (LOSS, Metric("prototypes_used", "prototypes in use"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        local: Augment,
        views: Count = 1,  # with hidden patches
        crops: Natural = 10,  # whole views from `local`
        hidden: PartialShare = 0.15,
        width: Count = 2048,
        dim: Count = 256,
        prototypes: Count = 1024,
        momentum: Share = 0.996,
        temperature: Positive = 0.1,
        sharpening: Positive = 0.25,  # temperature of the target, times `temperature`
        iterations: Natural = 3,  # of Sinkhorn's algorithm on the targets
        entropy: NonNegative = 1.0,  # lambda
    ):
        super().__init__(with_patches(encoder, "msn"), data)
        self.augment, self.local, self.views, self.crops = augment, local, views, crops
        self.patches = self.encoder.grid**2
        self.seen = self.patches - count_hidden(self.encoder, hidden)
        self.project = mlp(encoder.dim, width, width, dim)
        self.student = nn.Sequential(encoder, self.project)
        self.teacher = Teacher(self.student)
        self.prototypes, self.momentum = Prototypes(dim, prototypes), momentum
        self.temperature, self.sharpening = temperature, sharpening
        self.iterations, self.entropy = iterations, entropy

    def step(self, batch: Batch) -> Iterator[Tensor]:
        with torch.no_grad():
            scores = gather(self.prototypes(self.teacher(self.augment(batch.x))))
        target = local_rows(targets(scores, self.temperature * self.sharpening, self.iterations))
        h = [self.masked(self.augment(batch.x)) for _ in range(self.views)]
        h += in_one_pass(self.encoder, [self.local(batch.x) for _ in range(self.crops)])
        logits = [self.prototypes(self.embed(each)) / self.temperature for each in h]
        match = torch.stack([F.cross_entropy(each, target) for each in logits]).mean()
        mean = gather(torch.stack([each.softmax(1) for each in logits], 1)).mean((0, 1))
        entropy = -torch.special.xlogy(mean, mean).sum()
        self.measure(lambda: {"prototypes_used": entropy.exp()})
        yield match + self.entropy * (math.log(len(mean)) - entropy)  # equation 1
        self.teacher.follow(self.student, cosine(self.momentum, 1, batch.t), batch.share)

    def masked(self, x: Tensor) -> Tensor:
        """Features of a random choice of the patches: (B, C, H, W) -> (B, D)."""
        keep = uniform(x, self.patches).argsort(1)[:, : self.seen]
        return self.encoder.pooled(self.encoder.tokens(x, keep))

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def targets(scores: Tensor, temperature: float, iterations: int) -> Tensor:
    """Sharpened shares of the prototypes, evened out over the batch: (B, K) -> (B, K)."""
    return sinkhorn((scores / temperature).log_softmax(1), 1.0, iterations)
