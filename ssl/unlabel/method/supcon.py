"""Supervised Contrastive Learning. arXiv:2004.11362"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.method import LOSS, Batch
from unlabel.method._views import compare
from unlabel.method.simclr import SimCLR
from unlabel.nn.distributed import gather
from unlabel.nn.losses import cosine_similarities


class SupCon(SimCLR):
    """SimCLR in which all views of all images of a class attract each other.

    An image without a label is a class of its own.
    """

    labels = True
    logs = (LOSS,)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = self.augment.pair(batch.x)
        z = self.embed(self.encoder(views))  # (2B, d)
        y = gather(batch.y)
        alone = -1 - torch.arange(len(y), device=z.device)
        y = torch.where(y < 0, alone, y)
        yield supervised_contrastive(gather(z, views=2), y.repeat(2), self.temperature)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def supervised_contrastive(z: Tensor, y: Tensor, temperature: float) -> Tensor:
    """L_out, equation 2: vectors (N, D), labels (N,) that each occur at least twice -> ()."""
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (y[:, None] == y) & ~itself  # P(i)
    logits = (cosine_similarities(z, z) / temperature).masked_fill(itself, -torch.inf)
    log_p = logits.log_softmax(1).masked_fill(~positive, 0)
    return -(log_p.sum(1) / positive.sum(1)).mean()
