"""LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics.

arXiv:2511.08544
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import INVARIANCE
from unlabel.method._views import compare, in_one_pass
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, Natural, Positive, Share


class LeJEPA(Method):
    """Views agree with their mean, and embeddings look normal from every side. Nothing else."""

    logs = (LOSS, INVARIANCE, Metric("normality", "SIGReg term of the loss", better="lower"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        local: Augment,
        views: Count = 2,  # the global ones, whose mean all views are close to
        crops: Natural = 6,  # views from `local`
        width: Count = 2048,
        dim: Count = 16,
        normality: Share = 0.02,  # lambda
        directions: Count = 256,
        knots: Count = 17,
        reach: Positive = 3.0,  # largest frequency at which the distributions are compared
    ):
        super().__init__(encoder, data)
        self.augment, self.local, self.views, self.crops = augment, local, views, crops
        self.project = mlp(encoder.dim, width, width, dim)
        self.normality, self.directions = normality, directions
        self.knots, self.reach = knots, reach

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = [self.augment(batch.x) for _ in range(self.views)]
        local = [self.local(batch.x) for _ in range(self.crops)]
        made = [self.embed(self.encoder(view)) for view in views]
        made += in_one_pass(lambda x: self.embed(self.encoder(x)), local)
        z = torch.stack([gather(each) for each in made]).float()
        invariance = (z - z[: self.views].mean(0)).square().mean()
        a = torch.randn(z.shape[2], self.directions, device=z.device)
        normality = sigreg(z, a / a.norm(dim=0), self.knots, self.reach)
        self.measure(lambda: {"invariance": invariance, "normality": normality})
        yield (1 - self.normality) * invariance + self.normality * normality

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        local = {"a local view": self.local(x)} if self.crops else {}
        return compare(self, x, self.augment(x), self.augment(x)) | local


def sigreg(z: Tensor, directions: Tensor, knots: int, reach: float) -> Tensor:
    """How far embeddings (V, B, D) along unit vectors (D, A) are from N(0, 1): -> ().

    The test of Epps and Pulley: the squared distance of the characteristic functions, weighted by
    a Gaussian, times B. The integral over frequencies from -reach to reach is a trapezoidal sum of
    `knots` terms on each side; both sides are alike.
    """
    t = torch.linspace(0, reach, knots, device=z.device)
    normal = (-t.square() / 2).exp()
    with torch.autocast(z.device.type, enabled=False):
        angle = (z @ directions).unsqueeze(3) * t  # (V, B, A, T)
        distance = (angle.cos().mean(1) - normal).square() + angle.sin().mean(1).square()
    return 2 * torch.trapezoid(distance * normal, t).mean() * z.shape[1]
