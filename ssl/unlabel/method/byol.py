"""Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning. arXiv:2006.07733"""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.encoder import Encoder
from unlabel.images import Data
from unlabel.layers import Teacher, cosine, mlp
from unlabel.method import Batch, Method
from unlabel.spectrum import deviation
from unlabel.views import compare


class BYOL(Method):
    """Predict what a slow copy of the network makes of another view. There are no negatives."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        augment_: Augment,
        width: int = 4096,
        dim: int = 256,
        momentum: float = 0.996,
        norm_out: bool = False,  # batch norm after the projector, as SimSiam has
    ):
        super().__init__(encoder, data)
        self.augment, self.augment_ = augment, augment_  # T and T', table 6
        self.project = mlp(encoder.dim, width, dim, norm_out=norm_out)
        self.online = nn.Sequential(encoder, self.project)
        self.target = Teacher(self.online)
        self.predict = mlp(dim, width, dim)
        self.momentum = momentum

    def step(self, batch: Batch) -> Iterator[Tensor]:
        v, v_ = self.augment(batch.x), self.augment_(batch.x)
        z, z_ = self.online(v), self.online(v_)
        self.measures = {"projector_deviation": deviation(z.detach())}
        yield (
            regression(self.predict(z), self.target(v_))
            + regression(self.predict(z_), self.target(v))
        )
        self.target.follow(self.online, cosine(self.momentum, 1, batch.t))

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment_(x))


def regression(p: Tensor, z: Tensor) -> Tensor:
    """Equation 2: squared distance of the unit vectors along p and z, (B, D) each -> ()."""
    return 2 - 2 * F.cosine_similarity(p.float(), z.float()).mean()
