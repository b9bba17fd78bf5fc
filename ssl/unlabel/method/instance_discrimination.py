"""Unsupervised Feature Learning via Non-Parametric Instance Discrimination. arXiv:1805.01978"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import average, gather
from unlabel.nn.draws import integers
from unlabel.nn.layers import mlp
from unlabel.nn.losses import RETRIEVAL, cosine_similarities, retrieval
from unlabel.ranges import Count, NonNegative, Positive, Share


class InstanceDiscrimination(Method):
    """Classify each image as its own class; the class weights are a bank of past features."""

    bank: Tensor
    z: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count | None = None,  # of a hidden layer; None: none, as in the paper
        dim: Count = 128,
        temperature: Positive = 0.07,
        momentum: Share = 0.5,
        negatives: Count | None = 4096,  # drawn by noise-contrastive estimation; None: full softmax
        proximal: NonNegative = 30.0,
    ):
        super().__init__(encoder, data)
        self.project = mlp(encoder.dim, *([] if width is None else [width]), dim)
        self.augment, self.temperature, self.momentum = augment, temperature, momentum
        self.negatives, self.proximal, self.images = negatives, proximal, data.size
        self.register_buffer("bank", F.normalize(torch.randn(data.size, dim), dim=1))
        self.register_buffer("z", torch.zeros(()))  # equation 8's constant, 0 until estimated

    @classmethod
    def logged(cls, settings: Mapping[str, Any]) -> Sequence[Metric]:
        return [LOSS, *(RETRIEVAL if settings["negatives"] is None else ())]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        v, before = self.embed(self.encoder(self.augment(batch.x))), self.bank[batch.i]
        if self.negatives is None:
            logits = cosine_similarities(v, self.bank) / self.temperature
            self.measure(lambda: retrieval(logits, batch.i))
            loss = F.cross_entropy(logits, batch.i)  # equations 2 and 3
        else:
            noise = self.similar(v, self.bank[integers(v, 0, self.images, self.negatives)])
            self.z = self.z.where(self.z > 0, self.images * average(noise.detach().exp().mean()))
            loss = nce(self.similar(v, before[:, None])[:, 0], noise, self.z, self.images)
        yield loss + self.proximal * (v - before).square().sum(1).mean()  # equation 10
        after = F.normalize(before.lerp(v.detach(), 1 - self.momentum), dim=1)
        self.bank[gather(batch.i)] = gather(after)

    def embed(self, h: Tensor) -> Tensor:
        """Unit vectors, in float32 even under autocast: (B, D) -> (B, d)."""
        return F.normalize(self.project(h).float(), dim=1)

    def similar(self, v: Tensor, rows: Tensor) -> Tensor:
        """Vectors (B, d), m rows of the bank for each (B, m, d) -> similarities / T (B, m)."""
        with torch.autocast(v.device.type, enabled=False):
            return (rows @ v.unsqueeze(2)).squeeze(2) / self.temperature

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def nce(positive: Tensor, noise: Tensor, z: Tensor, n: int) -> Tensor:
    """Equations 5 to 7: s/T of v with its own row (B,) and with m drawn rows (B, m), Z -> ().

    A row belongs to v with probability h = P / (P + m / n), P = exp(s/T) / Z, a sigmoid of logs.
    """
    offset = z.log() + math.log(noise.shape[1] / n)
    return -(F.logsigmoid(positive - offset) + F.logsigmoid(offset - noise).sum(1)).mean()
