"""Unsupervised Learning of Visual Features by Contrasting Cluster Assignments. arXiv:2006.09882"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.augment import Augment, Size
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method, Settings
from unlabel.method._views import compare
from unlabel.nn.distributed import gather, local_rows
from unlabel.nn.layers import Prototypes, mlp
from unlabel.nn.losses import cross_prediction
from unlabel.ranges import Count, Natural, Positive, Share


class SwAV(Method):
    """Predict another view's prototype assignment; assignments are balanced over prototypes."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        local: Augment,
        crops: Natural = 6,  # views from `local`, besides two from `augment`
        width: Count = 2048,
        dim: Count = 128,
        prototypes: Count = 3000,
        temperature: Positive = 0.1,
        epsilon: Positive = 0.05,
        iterations: Natural = 3,
        frozen: Share = 0.00125,  # share of training during which the prototypes are frozen
    ):
        super().__init__(encoder, data)
        self.augment, self.local, self.crops = augment, local, crops
        self.project = mlp(encoder.dim, width, dim)
        self.prototypes = Prototypes(dim, prototypes)
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.frozen = frozen

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        unused = () if settings["crops"] else ("local",)
        return super().inputs({k: v for k, v in settings.items() if k not in unused}, size)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        self.prototypes.requires_grad_(batch.t >= self.frozen)
        views = [self.augment(batch.x), self.augment(batch.x)]
        views += [self.local(batch.x) for _ in range(self.crops)]
        scores = [self.prototypes(self.embed(self.encoder(view))) for view in views]  # (B, K) each
        codes = [local_rows(sinkhorn(gather(s), self.epsilon, self.iterations)) for s in scores[:2]]
        yield cross_prediction([s / self.temperature for s in scores], codes)  # equations 1, 2, 6

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        local = {"a local view": self.local(x)} if self.crops else {}
        return compare(self, x, self.augment(x), self.augment(x)) | local


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Equations 3 to 5: similarities with prototypes (B, K) -> codes (B, K), whose rows sum to 1.

    With more iterations, the prototypes' shares of the batch become more equal.
    """
    log_q = scores.float() / epsilon
    for _ in range(iterations):
        log_q = log_q.log_softmax(0).log_softmax(1)
    return log_q.exp()
