"""iBOT: Image BERT Pre-Training with Online Tokenizer. arXiv:2111.07832

With Sinkhorn's centring and KoLeo: DINOv2: Learning Robust Visual Features without Supervision.
arXiv:2304.07193
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._patches import chosen, count_hidden, with_patches
from unlabel.method._views import compare
from unlabel.method.swav import sinkhorn
from unlabel.metric import Metric
from unlabel.nn.distributed import average, gather, local_rows
from unlabel.nn.layers import Norm, Prototypes, Teacher, cosine, mlp
from unlabel.nn.losses import cross_prediction
from unlabel.nn.patches import random_mask
from unlabel.ranges import Count, Natural, NonNegative, PartialShare, Positive, Share

if TYPE_CHECKING:
    from unlabel.encoder.vit import ViT


class IBOT(Method):
    """A momentum teacher's prototypes, of the other view and of the student's hidden patches."""

    logs = (
        LOSS,
        Metric("image_loss", "loss of the views", better="lower"),
        Metric("patch_loss", "loss of the hidden patches", better="lower"),
    )
    encoder: "ViT"
    centre: Tensor  # of the teacher's outputs for images and for patches (2, K)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        local: Augment,
        crops: Natural = 10,  # student views from `local`, besides two from `augment`
        hidden: PartialShare = 0.3,
        width: Count = 2048,
        dim: Count = 256,
        prototypes: Count = 8192,
        norm: bool = False,  # batch norm in the heads
        shared: bool = True,  # one head for images and patches
        momentum: Share = 0.996,
        momentum_centre: Share = 0.9,
        temperature: Positive = 0.1,
        temperature_teacher: Positive = 0.04,
        centring: Literal["mean", "sinkhorn"] = "mean",
        koleo: NonNegative = 0.0,  # weight of the term that spreads features
    ):
        super().__init__(with_patches(encoder, "ibot"), data)
        self.augment, self.local, self.crops = augment, local, crops
        self.patches, self.hidden = self.encoder.grid**2, count_hidden(self.encoder, hidden)
        self.token = nn.Parameter(torch.randn(encoder.dim) * 0.02)

        def head() -> nn.Sequential:
            kind: Norm = "batch" if norm else "none"
            project = mlp(encoder.dim, width, width, dim, norm=kind, activation=nn.GELU)
            return nn.Sequential(project, Prototypes(dim, prototypes))

        self.head = head()
        self.patch_head = self.head if shared else head()
        self.student = _Network(self.encoder, self.head, self.patch_head)
        self.teacher = Teacher(self.student)
        self.register_buffer("centre", torch.zeros(2, prototypes))
        self.momentum, self.momentum_centre = momentum, momentum_centre
        self.temperature, self.temperature_teacher = temperature, temperature_teacher
        self.centring, self.koleo = centring, koleo

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = [self.augment(batch.x), self.augment(batch.x)]
        masks = [random_mask(view, self.patches, self.hidden) for view in views]
        seen = list(zip(views, masks, strict=True))
        with torch.no_grad():
            t = [self.teacher.module(view, mask) for view, mask in seen]
        s = [self.student(view, mask, self.token) for view, mask in seen]
        crops = [self.head(self.encoder(self.local(batch.x))) for _ in range(self.crops)]
        logits = [each / self.temperature for each in [*(each.image for each in s), *crops]]
        image = cross_prediction(logits, [self.target(each.image, 0) for each in t])
        hidden = [
            F.cross_entropy(mine.patches / self.temperature, self.target(whole.patches, 1))
            for mine, whole in zip(s, t, strict=True)
        ]
        patch = torch.stack(hidden).mean()
        self.measures = {"image_loss": image.detach(), "patch_loss": patch.detach()}
        spread = torch.stack([koleo(each.h) for each in s]).mean() if self.koleo else 0
        yield image + patch + self.koleo * spread
        self.teacher.follow(self.student, cosine(self.momentum, 1, batch.t), batch.share)
        means = [torch.cat(each).mean(0) for each in list(zip(*t, strict=True))[:2]]
        mean = average(torch.stack(means))
        self.centre = self.centre.lerp(mean, 1 - self.momentum_centre**batch.share)

    def target(self, scores: Tensor, of: int) -> Tensor:
        """The teacher's shares of the prototypes, centred and sharpened: (B, K) -> (B, K)."""
        if self.centring == "sinkhorn":
            return local_rows(sinkhorn(gather(scores), self.temperature_teacher, 3))
        return ((scores - self.centre[of]) / self.temperature_teacher).softmax(1)

    def embed(self, h: Tensor) -> Tensor:
        z: Tensor = self.head[0](h)
        return z

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


class _Scores(NamedTuple):
    """Of a view: similarities with the prototypes, and features."""

    image: Tensor  # (B, K)
    patches: Tensor  # of the M patches in the mask (B * M, K)
    h: Tensor  # (B, D)


class _Network(nn.Module):
    """An encoder and its heads. If there is a token, it hides the patches in the mask."""

    def __init__(self, encoder: "ViT", head: nn.Module, patch_head: nn.Module):
        super().__init__()
        self.encoder, self.head, self.patch_head = encoder, head, patch_head

    def forward(self, x: Tensor, mask: Tensor, token: Tensor | None = None) -> _Scores:
        see = self.encoder
        tokens = (see.tokens(x) if token is None else see.masked(x, mask, token))[:, 1:]
        h, patches = tokens.mean(1), chosen(tokens, mask).flatten(0, 1)
        return _Scores(self.head(h), self.patch_head(patches), h)


def koleo(h: Tensor) -> Tensor:
    """The mean of -log of the distance to the nearest other unit vector: (B, D) -> ().

    DINOv2, section 4; the entropy's estimate by Kozachenko and Leonenko.
    """
    z = F.normalize(gather(h).float(), dim=1)
    with torch.autocast(z.device.type, enabled=False), torch.no_grad():
        nearest = (z @ z.T).fill_diagonal_(-2).argmax(1)
    return -(F.pairwise_distance(z, z[nearest], eps=1e-8) + 1e-8).log().mean()
