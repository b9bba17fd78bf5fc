"""What Should Not Be Contrastive in Contrastive Learning (LooC). arXiv:2008.05659"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment, Draw
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.errors import UserError, did_you_mean
from unlabel.method import LOSS, Batch, Method, Settings, _queue
from unlabel.method._metrics import of_spaces
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import Heads, Teacher, mlp
from unlabel.ranges import Count, Natural, Positive, Share


class LooC(Method):
    """MoCo with a space invariant to all augmentations and, for each left out, a sensitive one."""

    queue: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        leave_out: Mapping[str, Sequence[str]],  # space -> transforms it is sensitive to
        width: Count = 2048,
        dim: Count = 128,
        queue: Natural = 16384,
        momentum: Share = 0.999,
        temperature: Positive = 0.2,
    ):
        super().__init__(encoder, data)
        known, self.left_out = augment.transforms, dict(leave_out)
        for name in {name for names in leave_out.values() for name in names} - known.keys():
            raise UserError(f"method.leave_out: no transform {name!r}; {did_you_mean(name, known)}")
        self.augment, self.temperature, self.momentum = augment, temperature, momentum
        self.heads = Heads(mlp(encoder.dim, width, dim, norm="none") for _ in (None, *leave_out))
        self.query = nn.Sequential(encoder, self.heads)
        self.key = Teacher(self.query)
        self.register_buffer("queue", F.normalize(torch.randn(len(self.heads), queue, dim), dim=2))

    @classmethod
    def logged(cls, settings: Mapping[str, Any]) -> Sequence[Metric]:
        return [LOSS, *of_spaces("invariant", *settings["leave_out"])]

    @classmethod
    def fitted(cls, settings: Settings, images: int, batch: int) -> Settings:
        return _queue.fitted(settings, images, batch)

    def draws(self, x: Tensor) -> list[Draw]:
        """Draws for the query and for each space's key, which shares the left-out transforms."""
        query, kept = self.augment.draw(x), ((), *self.left_out.values())
        return [query, *(self.augment.draw(x) | {n: query[n] for n in names} for names in kept)]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x_q, *x_k = (self.augment.apply(batch.x, draw) for draw in self.draws(batch.x))
        q, k = self.query(x_q), torch.stack([self.key(x) for x in x_k])  # (S, B, d), (S, S, B, d)
        losses = leave_one_out(q, k, self.queue, self.temperature)
        self.measure(lambda: dict(zip(("invariant", *self.left_out), losses, strict=True)))
        yield losses.mean()
        self.key.follow(self.query, self.momentum, batch.share)
        own = gather(k.diagonal().movedim(2, 1))  # (B, S, d): each key in its own space
        self.queue = torch.cat([own.transpose(0, 1), self.queue], 1)[:, : self.queue.shape[1]]

    def embed(self, h: Tensor) -> Tensor:
        return torch.cat(list(self.heads(h)), 1)  # LooC++

    def show(self, x: Tensor) -> dict[str, Tensor]:
        query, *keys = (self.augment.apply(x, draw) for draw in self.draws(x))
        same = zip(self.left_out, keys[1:], strict=True)
        return compare(self, x, query, keys[0]) | {f"first view's {n}": v for n, v in same}


def leave_one_out(q: Tensor, k: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Equation 2: queries (S, B, d), keys (S keys, S spaces, B, d), queues (S, K, d) -> (S,)."""
    own = (q * k).sum(3) / temperature  # (S keys, S spaces, B)
    other = _queue.similarities(q, queue, own=k.diagonal().movedim(2, 0)) / temperature
    negative = other.logsumexp(2)  # (S, B)
    invariant = (torch.logaddexp(own[:, 0], negative[0]) - own[:, 0]).sum(0)  # (B,): each key alone
    sensitive = torch.logaddexp(own.logsumexp(0), negative) - own.diagonal().T  # (S, B): of all
    return torch.stack([invariant, *sensitive[1:]]).mean(1)
