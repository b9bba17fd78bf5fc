"""VICRegL: Self-Supervised Learning of Local Visual Features. arXiv:2210.01571"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.augment.places import locations
from unlabel.augment.tiles import take
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._views import compare
from unlabel.method.vicreg import covariance, variance
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, NonNegative, Share


class VICRegL(Method):
    """VICReg for images and, at once, for positions that match in place or in content."""

    logs = (LOSS, Metric("local_loss", "loss of the positions", better="lower"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 8192,
        dim: Count = 8192,
        width_local: Count = 512,
        dim_local: Count = 512,
        matches: Count = 20,  # gamma, pairs of positions that are kept
        alpha: Share = 0.75,  # the weight of the images
        invariance: NonNegative = 25.0,
        variance: NonNegative = 25.0,
        covariance: NonNegative = 1.0,
    ):
        super().__init__(encoder, data)
        self.augment, self.matches, self.alpha = augment, matches, alpha
        self.project = mlp(encoder.dim, width, width, dim)
        self.project_local = mlp(encoder.dim, width_local, width_local, dim_local)
        self.weights = (invariance, variance, covariance)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        draws, encode = [self.augment.draw(batch.x) for _ in range(2)], self.encoder.maps
        views = [self.augment.apply(batch.x, draw) for draw in draws]
        maps, maps_ = (self.encoder.in_chunks(encode, view) for view in views)  # (B, D, h, w)
        place, place_ = (locations(draw, maps.shape[2:], batch.x) for draw in draws)
        h, h_ = maps.flatten(2).mT, maps_.flatten(2).mT  # (B, S, D)
        z, z_ = self.embed_local(h), self.embed_local(h_)
        pairs = []
        for distance in (torch.cdist(place, place_), torch.cdist(z.detach(), z_.detach())):
            pairs.append(match(z, z_, distance, self.matches))
            pairs.append(match(z_, z, distance.mT, self.matches))
        images = vicreg(self.embed(h.mean(1)), self.embed(h_.mean(1)), self.weights)
        positions = torch.stack([vicreg(*pair, self.weights) for pair in pairs]).mean()
        self.measure(lambda: {"local_loss": positions})
        yield self.alpha * images + (1 - self.alpha) * positions

    def embed_local(self, h: Tensor) -> Tensor:
        """Features of positions, projected: (B, S, D) -> (B, S, d), in float32."""
        z: Tensor = self.project_local(h.flatten(0, 1))
        return z.float().unflatten(0, h.shape[:2])

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def vicreg(z: Tensor, z_: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """VICReg's criterion over a batch: (B, D) each, or (B, P, D) for each of P positions -> ()."""
    z, z_ = gather(z).float(), gather(z_).float()
    both = [each.unsqueeze(1) if each.ndim == 2 else each for each in (z, z_)]
    v = variance(both[0].flatten(1)) + variance(both[1].flatten(1))
    c = torch.stack([covariance(part) for each in both for part in each.unbind(1)]).mean() * 2
    return weights[0] * F.mse_loss(z, z_) + weights[1] * v + weights[2] * c


def match(z: Tensor, z_: Tensor, distance: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
    """The closest pairs of a position and its nearest: (B, S, D), (B, T, D), (B, S, T) -> pairs."""
    nearest = distance.min(2)
    best = nearest.values.topk(min(pairs, z.shape[1]), dim=1, largest=False).indices
    return take(z, best), take(z_, nearest.indices.gather(1, best))
