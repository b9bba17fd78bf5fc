"""Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning. arXiv:2006.07733"""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import PROJECTOR_DEVIATION
from unlabel.method._views import compare
from unlabel.nn.distributed import gather
from unlabel.nn.layers import Norm, Teacher, cosine, mlp
from unlabel.nn.spectrum import deviation
from unlabel.ranges import Count, Share


class BYOL(Method):
    """Predict a momentum encoder's projection of another view. There are no negatives."""

    logs = (LOSS, PROJECTOR_DEVIATION)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        augment_: Augment,
        width: Count = 4096,
        dim: Count = 256,
        momentum: Share = 0.996,
        momentum_end: Share = 1.0,  # final value of the cosine schedule
        norm: Norm = "batch",  # in projector and predictor
        norm_out: bool = False,  # also after the projector, as in SimSiam
        predictor: bool = True,
        stop_gradient: bool = True,  # False: the target is the online network, and gets gradients
    ):
        super().__init__(encoder, data)
        self.augment, self.augment_ = augment, augment_  # T and T', table 6
        self.project = mlp(encoder.dim, width, dim, norm=norm, norm_out=norm_out)
        self.online = nn.Sequential(encoder, self.project)
        self.target = Teacher(self.online)
        self.predict = mlp(dim, width, dim, norm=norm) if predictor else nn.Identity()
        self.momentum, self.momentum_end = momentum, momentum_end
        self.stop_gradient = stop_gradient

    def step(self, batch: Batch) -> Iterator[Tensor]:
        v, v_ = self.augment(batch.x), self.augment_(batch.x)
        z, z_ = self.online(v), self.online(v_)
        self.measure(lambda: {"projector_deviation": deviation(gather(z))})
        t_, t = (self.target(v_), self.target(v)) if self.stop_gradient else (z_, z)
        yield regression(self.predict(z), t_) + regression(self.predict(z_), t)
        momentum = cosine(self.momentum, self.momentum_end, batch.t)
        self.target.follow(self.online, momentum, batch.share)

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment_(x))


def regression(p: Tensor, z: Tensor) -> Tensor:
    """Equation 2, the squared distance of normalised p and z: (B, D) each -> ()."""
    return 2 - 2 * F.cosine_similarity(p.float(), z.float()).mean()
