"""VICRegL: Self-Supervised Learning of Local Visual Features. arXiv:2210.01571"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment, Draw
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

    logs = (
        LOSS,
        Metric("global_loss", "loss of the images", better="lower"),
        Metric("local_loss", "loss of the positions", better="lower"),
    )

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
        first, second = self.augment.draw(batch.x), self.augment.draw(batch.x)
        maps, maps_ = (self.maps(self.augment.apply(batch.x, draw)) for draw in (first, second))
        place, place_ = (
            locations(draw, each.shape[2:], batch.x)
            for draw, each in ((first, maps), (second, maps_))
        )
        h, h_ = maps.flatten(2).mT, maps_.flatten(2).mT  # (B, S, D)
        z, z_ = self.embed_local(h), self.embed_local(h_)
        pairs = []
        for distance in (torch.cdist(place, place_), torch.cdist(z.detach(), z_.detach())):
            pairs.append(match(z, z_, distance, self.matches))
            pairs.append(match(z_, z, distance.mT, self.matches))
        of_images = self.criterion(self.embed(h.mean(1)), self.embed(h_.mean(1)))
        of_positions = torch.stack([self.criterion(*pair) for pair in pairs]).mean()
        self.measures = {"global_loss": of_images.detach(), "local_loss": of_positions.detach()}
        yield self.alpha * of_images + (1 - self.alpha) * of_positions

    def maps(self, x: Tensor) -> Tensor:
        return self.encoder.in_chunks(self.encoder.maps, x)

    def embed_local(self, h: Tensor) -> Tensor:
        """Features of positions, projected: (B, S, D) -> (B, S, d), in float32."""
        z: Tensor = self.project_local(h.flatten(0, 1))
        return z.float().unflatten(0, h.shape[:2])

    def criterion(self, z: Tensor, z_: Tensor) -> Tensor:
        return vicreg(gather(z), gather(z_), *self.weights)

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def vicreg(z: Tensor, z_: Tensor, invariance: float, spread: float, decorrelation: float) -> Tensor:
    """VICReg's criterion over a batch: (B, D) each, or (B, P, D) for each of P positions -> ()."""
    z, z_ = z.float(), z_.float()
    both = [each.unsqueeze(1) if each.ndim == 2 else each for each in (z, z_)]
    v = sum(variance(each.flatten(1)) for each in both)
    c = torch.stack([covariance(part) for each in both for part in each.unbind(1)]).mean() * 2
    return invariance * F.mse_loss(z, z_) + spread * v + decorrelation * c


def locations(draw: Draw, size: Sequence[int], x: Tensor) -> Tensor:
    """Where the cells of a view's map of `size` (h, w) are in the image: -> (B, h * w, 2).

    Row and column, as shares of the image. The draw may have a `crop` and then a `flip`.
    """
    down, across = ((torch.arange(n, device=x.device) + 0.5) / n for n in size)
    across = across.expand(len(x), -1)
    if "flip" in draw:
        across = torch.where(draw["flip"], 1 - across, across)
    row, column = down.expand(len(x), -1), across
    if "crop" in draw:
        top, left, tall, wide = draw["crop"].split(1, dim=1)
        row, column = top + tall * row, left + wide * column
    row, column = row.unsqueeze(2).expand(-1, -1, size[1]), column.unsqueeze(1)
    return torch.stack([row, column.expand_as(row)], 3).flatten(1, 2)


def match(z: Tensor, z_: Tensor, distance: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
    """Each position with its nearest in the other view; the closest pairs are kept.

    Positions (B, S, D), (B, T, D) and their distances (B, S, T) -> (B, pairs, D) each.
    """
    nearest = distance.min(2)
    best = nearest.values.topk(min(pairs, z.shape[1]), dim=1, largest=False).indices
    return take(z, best), take(z_, nearest.indices.gather(1, best))
