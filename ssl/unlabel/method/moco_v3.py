"""An Empirical Study of Training Self-Supervised Vision Transformers. arXiv:2104.02057"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.method import LOSS, Batch, Method, Settings
from unlabel.method._views import compare
from unlabel.nn.layers import Teacher, cosine, mlp
from unlabel.nn.losses import RETRIEVAL, info_nce, retrieval
from unlabel.ranges import Count, Positive, Share

if TYPE_CHECKING:
    from unlabel.encoder._tokens import Tokens


class MoCoV3(Method):
    """MoCo without a queue: each view predicts the other's key among the batch's keys."""

    logs = (LOSS, *RETRIEVAL)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 4096,
        dim: Count = 256,
        layers: Count = 2,  # of the projector: 2 for a ResNet, 3 for a ViT
        momentum: Share = 0.99,
        temperature: Positive = 1.0,  # 0.2 for a ViT
        freeze_patches: bool = False,  # keep a ViT's patch projection random, section 4.3
    ):
        super().__init__(encoder, data)
        self.augment = augment
        self.project = mlp(encoder.dim, *[width] * (layers - 1), dim, norm_out=True)
        self.query = nn.Sequential(encoder, self.project)
        self.key = Teacher(self.query)
        self.predict = mlp(dim, width, dim, norm_out=True)
        self.momentum, self.temperature = momentum, temperature
        if freeze_patches:
            if not encoder.patches:
                raise UserError(
                    "method.freeze_patches is true, but the encoder has no patches; set it to "
                    "false, or choose encoder=vit_tiny"
                )
            cast("Tokens", encoder).projection().requires_grad_(False)

    @classmethod
    def needs_patches(cls, settings: Settings) -> bool:
        return bool(settings["freeze_patches"])

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x1, x2 = self.augment(batch.x), self.augment(batch.x)
        q1, q2 = self.predict(self.query(x1)), self.predict(self.query(x2))
        k1, k2 = self.key(x1), self.key(x2)
        self.measure(lambda: retrieval(*info_nce(q1, k2, self.temperature)))
        yield contrast(q1, k2, self.temperature) + contrast(q2, k1, self.temperature)
        self.key.follow(self.query, cosine(self.momentum, 1, batch.t), batch.share)

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def contrast(q: Tensor, k: Tensor, temperature: float) -> Tensor:
    """Algorithm 1's `ctr`, InfoNCE times 2 T: predictions and keys (B, D) each -> ()."""
    return 2 * temperature * F.cross_entropy(*info_nce(q, k, temperature))
