"""Colorful Image Colorization. arXiv:1603.08511"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.augment.colour import (
    chroma_bins,
    edges,
    intensity_bins,
    join,
    recolour,
    separate,
    soft_encode,
)
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import PRETEXT_ACCURACY
from unlabel.nn.distributed import average


class Colorization(Method):
    """Which colour, a bin of the chroma plane, has each place of an image that is seen in grey?

    Of grey images the edges are seen and the intensity is asked for; `detail` places a map's cell.
    """

    logs = (LOSS, PRETEXT_ACCURACY)
    bins: Tensor
    prior: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        spacing: float = 0.1,
        detail: int = 4,
        mix: float = 0.5,
        temperature: float = 0.38,
    ):
        super().__init__(encoder, data)
        self.augment, self.spacing, self.detail, self.mix = augment, spacing, detail, mix
        self.temperature, self.colour = temperature, data.shape[0] == 3
        self.register_buffer("bins", (chroma_bins if self.colour else intensity_bins)(spacing))
        self.register_buffer("prior", torch.full((len(self.bins),), 1 / len(self.bins)))
        self.classify = nn.Conv2d(encoder.dim, len(self.bins) * detail**2, 1)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        seen, wanted = self.split(self.augment(batch.x))
        logits = self.look(seen)
        places = F.adaptive_avg_pool2d(wanted, (logits.shape[2], logits.shape[3]))
        target = soft_encode(places, self.bins, self.spacing / 2)
        self.prior = self.prior.lerp(average(target.mean((0, 2, 3))), 0.01)
        self.measures = {"accuracy": (logits.argmax(1) == target.argmax(1)).float().mean()}
        yield rebalanced(logits, target, rarity(self.prior, self.mix))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images -> what is seen of them (B, C, H, W), and what is to be predicted (B, K, H, W)."""
        if self.colour:
            luma, chroma = separate(x)
            return luma.expand_as(x), chroma
        return edges(x), x.mean(1, keepdim=True)

    def look(self, seen: Tensor) -> Tensor:
        """(B, C, H, W) -> logits of the bins (B, Q, h, w)"""
        maps = self.encoder.in_chunks(self.encoder.maps, seen)
        return F.pixel_shuffle(self.classify(maps), self.detail).float()

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        seen, _ = self.split(x)
        probable = (self.look(seen) / self.temperature).softmax(1)  # equation 5
        guess = F.interpolate(recolour(probable, self.bins.T), x.shape[2:], mode="bilinear")
        filled = join(seen[:, :1], guess) if self.colour else guess
        return {"image": x, "what is seen of it": seen, "coloured from that": filled}


def rarity(prior: Tensor, mix: float) -> Tensor:
    """Equation 4: how common each bin is (Q,) -> its weight (Q,), 1 on average over places."""
    weight = 1 / ((1 - mix) * prior + mix / len(prior))
    return weight / (prior * weight).sum()


def rebalanced(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Equations 2 and 3, as a mean: logits and Z (B, Q, h, w), weights of the bins (Q,) -> ()."""
    v = weight[target.argmax(1)]  # (B, h, w)
    return (v * F.cross_entropy(logits, target, reduction="none")).mean()
