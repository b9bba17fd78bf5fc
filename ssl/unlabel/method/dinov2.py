"""DINOv2: Learning Robust Visual Features without Supervision. arXiv:2304.07193"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method.ibot import IBOT
from unlabel.nn.distributed import gather, local_rows
from unlabel.nn.losses import sinkhorn
from unlabel.ranges import Count, Natural, NonNegative, PartialShare, Positive, Share


class DINOv2(IBOT):
    """iBOT with two heads, targets that are evened out over the batch, and spread features."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        hidden: PartialShare = 0.3,
        width: Count = 2048,
        dim: Count = 256,
        prototypes: Count = 65536,
        norm: bool = False,
        momentum: Share = 0.992,
        temperature: Positive = 0.1,
        temperature_teacher: Positive = 0.07,
        iterations: Natural = 3,  # of Sinkhorn's algorithm
        koleo: NonNegative = 0.1,  # weight of the term that spreads features
    ):
        super().__init__(encoder, data, augment, hidden, width, dim, prototypes, norm, shared=False)
        self.momentum, self.iterations, self.koleo = momentum, iterations, koleo
        self.temperature, self.temperature_teacher = temperature, temperature_teacher

    def targets(self, scores: list[Tensor], of: int) -> list[Tensor]:
        views = len(scores)
        every = gather(torch.cat(scores), views)
        shares = sinkhorn(every, self.temperature_teacher, self.iterations)
        return [*local_rows(shares, views).chunk(views)]

    def regulariser(self, h: list[Tensor]) -> Tensor:
        return self.koleo * torch.stack([koleo(each) for each in h]).sum()


def koleo(h: Tensor) -> Tensor:
    """The mean of -log of the distance to the nearest other unit vector: (B, D) -> ().

    DINOv2, section 4; the entropy's estimate by Kozachenko and Leonenko.
    """
    z = F.normalize(gather(h).float(), dim=1)
    with torch.autocast(z.device.type, enabled=False), torch.no_grad():
        nearest = (z @ z.T).fill_diagonal_(-2).argmax(1)
    return -(F.pairwise_distance(z, z[nearest], eps=1e-8) + 1e-8).log().mean()
