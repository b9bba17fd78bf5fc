"""Unsupervised Learning of Visual Features by Contrasting Cluster Assignments. arXiv:2006.09882"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._views import compare, in_one_pass
from unlabel.nn.distributed import gather, local_rows
from unlabel.nn.layers import Prototypes, mlp
from unlabel.nn.losses import cross_prediction, sinkhorn
from unlabel.ranges import Count, Natural, Positive, Share


class SwAV(Method):
    """Predict another view's prototype assignment; assignments are balanced over prototypes.

    With a queue, they are balanced over the batch and the embeddings of batches before it.
    """

    queue: Tensor  # of each global view, newest first (2, K, d)

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
        frozen: Share = 0.01,  # share of training during which the prototypes are frozen
        queue: Natural = 0,  # embeddings of each global view to keep
        queue_start: Share = 0.0,  # share of training before the queue fills
    ):
        super().__init__(encoder, data)
        self.augment, self.local, self.crops = augment, local, crops
        self.project = mlp(encoder.dim, width, dim)
        self.prototypes = Prototypes(dim, prototypes)
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.frozen, self.queue_start = frozen, queue_start
        self.register_buffer("queue", torch.zeros(2, queue, dim))
        self.room: int | None = None  # empty rows of the queue; None: not known yet

    def step(self, batch: Batch) -> Iterator[Tensor]:
        self.prototypes.requires_grad_(batch.t >= self.frozen)
        views = [self.augment(batch.x), self.augment(batch.x)]
        local = [self.local(batch.x) for _ in range(self.crops)]
        z = [self.embed(self.encoder(view)) for view in views]  # (B, d) each
        z += in_one_pass(lambda x: self.embed(self.encoder(x)), local)
        scores = [self.prototypes(each) for each in z]  # (B, K) each
        codes = [self.codes(s, queue) for s, queue in zip(scores[:2], self.queue, strict=True)]
        yield cross_prediction([s / self.temperature for s in scores], codes)  # equations 1, 2, 6
        if self.queue.numel() and batch.t >= self.queue_start:
            new = torch.stack([gather(each.detach().float()) for each in z[:2]])
            self.queue = torch.cat([new, self.queue], 1)[:, : self.queue.shape[1]]
            self.room = max(0, (self.room or 0) - new.shape[1])

    @torch.no_grad()
    def codes(self, scores: Tensor, queue: Tensor) -> Tensor:
        """The codes of a view (b, K). A full queue helps to balance them (section 3.1)."""
        every = gather(scores)
        if self.room is None:  # counted once, as a GPU waits for it
            self.room = int((~queue.any(1)).sum()) if len(queue) else 0
        more = [self.prototypes(queue)] if len(queue) and not self.room else []
        balanced = sinkhorn(torch.cat([every, *more]), self.epsilon, self.iterations)
        return local_rows(balanced[: len(every)])

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        local = {"a local view": self.local(x)} if self.crops else {}
        return compare(self, x, self.augment(x), self.augment(x)) | local
