"""Momentum Contrast for Unsupervised Visual Representation Learning. arXiv:1911.05722

Version 2: Improved Baselines with Momentum Contrastive Learning. arXiv:2003.04297
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method, Settings, _queue
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.batch_norm import in_turn, pass_in_parts
from unlabel.nn.distributed import gather, local_rows, world
from unlabel.nn.layers import Teacher, mlp
from unlabel.nn.losses import RETRIEVAL, info_nce, retrieval
from unlabel.ranges import Count, Natural, Positive, Share


class MoCo(Method):
    """Match a query to its key from a momentum encoder, against a queue of earlier batches' keys.

    Batch norm sees queries and keys in `splits` parts, as on that many devices. `shuffle` mixes the
    keys' parts, so that the statistics do not reveal which key belongs to a query. Without a queue,
    the negatives are the other keys of the batch.
    """

    queue: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count | None = None,  # of the hidden layer in version 2
        dim: Count = 128,
        queue: Natural = 65536,
        momentum: Share = 0.999,
        temperature: Positive = 0.07,
        shuffle: bool = True,
        splits: Count = 8,
    ):
        super().__init__(encoder, data)
        self.augment = augment
        hidden = [] if width is None else [width]
        self.project = mlp(encoder.dim, *hidden, dim, norm="none")
        self.query = nn.Sequential(encoder, self.project)
        self.key = Teacher(self.query)
        self.register_buffer("queue", F.normalize(torch.randn(queue, dim), dim=1))
        self.momentum, self.temperature = momentum, temperature
        self.shuffle, self.splits = shuffle, splits

    @classmethod
    def logged(cls, settings: Mapping[str, Any]) -> Sequence[Metric]:
        # A critic tells a queue's stale keys from fresh ones, so that log N - L is then no bound.
        return [LOSS, *(RETRIEVAL[:1] if settings["queue"] else RETRIEVAL)]

    @classmethod
    def fitted(cls, settings: Settings, images: int, batch: int) -> Settings:
        splits = min(settings["splits"], max(1, batch // 2))  # batch norm needs two images
        return {**_queue.fitted(settings, images, batch), "splits": splits}

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x_q, x_k = self.augment.pair(batch.x).chunk(2)
        n = len(batch.x) * world()
        order = (torch.randperm if self.shuffle else torch.arange)(n, device=x_q.device)
        x_k = local_rows(gather(x_k)[order])
        with in_turn(self) if self.splits > 1 else nullcontext():
            plain = not (self.encoder.chunk or self.encoder.compiled)
            q = pass_in_parts(self.query, x_q, self.splits, one_pass=plain and x_q.is_cuda)
            k = pass_in_parts(self.key, x_k, self.splits, one_pass=plain)
        k = local_rows(F.normalize(gather(k)[order.argsort()].float(), dim=1))
        negatives = self.queue if len(self.queue) else None
        logits, target = info_nce(q, k, self.temperature, negatives)
        kept = {each.name for each in self.logged({"queue": len(self.queue)})}
        self.measure(lambda: {k: v for k, v in retrieval(logits, target).items() if k in kept})
        yield F.cross_entropy(logits, target)  # equation 1
        self.key.follow(self.query, self.momentum, batch.share)  # equation 2
        self.queue = torch.cat([gather(k), self.queue])[: len(self.queue)]  # enqueue, dequeue

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))
