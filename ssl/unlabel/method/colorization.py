"""Colorful Image Colorization. arXiv:1603.08511"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment, colour
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.method._metrics import PRETEXT_ACCURACY
from unlabel.nn.distributed import average
from unlabel.ranges import Count, Positive, PositiveShare


class Colorization(Method):
    """Predict bins of chroma from luminance or, for grey images, of intensity from edges."""

    logs = (LOSS, PRETEXT_ACCURACY)
    bins: Tensor
    prior: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        spacing: PositiveShare = 0.1,  # of the bins
        detail: Count = 4,  # predictions along each side of a feature map's cell
        mix: PositiveShare = 0.5,  # share of a uniform distribution in the bins' prior (equation 4)
        temperature: Positive = 0.38,  # of the shown prediction (equation 5)
    ):
        super().__init__(encoder, data)
        self.augment, self.spacing, self.detail, self.mix = augment, spacing, detail, mix
        self.temperature, self.colour = temperature, data.shape[0] == 3
        bins = colour.chroma_bins if self.colour else colour.intensity_bins
        self.register_buffer("bins", bins(spacing))
        self.register_buffer("prior", torch.full((len(self.bins),), 1 / len(self.bins)))
        self.classify = nn.Conv2d(encoder.dim, len(self.bins) * detail**2, 1)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        seen, wanted = self.split(self.augment(batch.x))
        logits = self.look(seen)
        places = F.adaptive_avg_pool2d(wanted, (logits.shape[2], logits.shape[3]))
        target = colour.soft_encode(places, self.bins, self.spacing / 2)
        self.prior = self.prior.lerp(average(target.mean((0, 2, 3))), 0.01)
        self.measure(lambda: {"accuracy": (logits.argmax(1) == target.argmax(1)).float().mean()})
        yield rebalanced(logits, target, rarity(self.prior, self.mix))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images -> the encoder's input (B, C, H, W) and the values to predict (B, K, H, W)."""
        if self.colour:
            luma, chroma = colour.separate(x)
            return luma.expand_as(x), chroma
        return colour.edges(x), x.mean(1, keepdim=True)

    def look(self, seen: Tensor) -> Tensor:
        """The encoder's input (B, C, H, W) -> logits of the bins (B, Q, h, w)."""
        maps = self.encoder.in_chunks(self.encoder.maps, seen)
        return F.pixel_shuffle(self.classify(maps), self.detail).float()

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        seen, _ = self.split(x)
        probable = (self.look(seen) / self.temperature).softmax(1)  # equation 5
        guess = F.interpolate(colour.recolour(probable, self.bins.T), x.shape[2:], mode="bilinear")
        filled = colour.join(seen[:, :1], guess) if self.colour else guess
        return {"image": x, "input": seen, "colorized": filled}


def rarity(prior: Tensor, mix: float) -> Tensor:
    """Equation 4: frequencies of the bins (Q,) -> weights (Q,), 1 on average over positions."""
    weight = 1 / ((1 - mix) * prior + mix / len(prior))
    return weight / (prior * weight).sum()


def rebalanced(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Equations 2 and 3, averaged: logits and Z (B, Q, h, w), weights of the bins (Q,) -> ()."""
    v = weight[target.argmax(1)]  # (B, h, w)
    return (v * F.cross_entropy(logits, target, reduction="none")).mean()
