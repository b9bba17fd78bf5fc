"""A Simple Framework for Contrastive Learning of Visual Representations. arXiv:2002.05709"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._views import compare
from unlabel.metric import Metric
from unlabel.nn.distributed import gather, local_rows
from unlabel.nn.layers import Norm, mlp
from unlabel.nn.losses import RETRIEVAL, cosine_similarities, retrieval
from unlabel.ranges import Count, Natural, Positive


class SimCLR(Method):
    """Two views of an image attract each other; views of other images in the batch repel."""

    logs: Sequence[Metric] = (LOSS, *RETRIEVAL)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 2048,
        dim: Count = 128,
        temperature: Positive = 0.1,
        layers: Natural = 2,  # of the projector; 0: none, the loss uses the features
        norm: Norm = "batch",  # in the projector
        negatives: bool = True,  # False: alignment alone, other images do not repel
    ):
        super().__init__(encoder, data)
        self.augment = augment
        head = (
            mlp(encoder.dim, *[width] * (layers - 1), dim, norm=norm) if layers else nn.Identity()
        )
        self.project, self.negatives = head, negatives  # g, section 4.2
        self.temperature = temperature

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = self.augment.pair(batch.x)  # i and i + B show the same image
        z = self.embed(self.encoder(views))  # (2B, d)
        logits, partner = nt_xent(z, self.temperature)
        self.measure(lambda: retrieval(logits, partner))
        if self.negatives:
            yield F.cross_entropy(logits, partner)  # equation 1, the mean over all 2B views
        else:
            yield -logits.gather(1, partner[:, None]).mean()  # the numerator of equation 1 alone

    def embed(self, h: Tensor) -> Tensor:
        z: Tensor = self.project(h)
        return z

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def nt_xent(z: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Equation 1 as a classification: views (2B, d) -> logits (2B, 2B) and targets (2B,).

    The logits are cosine similarities / T. A view is never compared with itself. With several
    processes, each has the rows of its own views and the columns of all views.
    """
    every = gather(z, views=2)
    place = torch.arange(len(every), device=z.device)
    itself, partner = local_rows(place, views=2), local_rows(place.roll(len(every) // 2), views=2)
    logits = cosine_similarities(z, every).div_(temperature)  # in place, as it may be large
    return logits.scatter_(1, itself.unsqueeze(1), -torch.inf), partner
