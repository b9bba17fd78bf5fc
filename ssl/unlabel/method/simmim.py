"""SimMIM: A Simple Framework for Masked Image Modeling. arXiv:2111.09886"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch
from unlabel.method._patches import PatchMethod, chosen, count_hidden, with_patches
from unlabel.nn.patches import assemble, patchify, random_mask
from unlabel.ranges import PartialShare


class SimMIM(PatchMethod):
    """Put a token in the place of some patches, and predict their pixels with one linear layer."""

    def __init__(self, encoder: Encoder, data: Data, augment: Augment, hidden: PartialShare = 0.6):
        super().__init__(with_patches(encoder, "simmim"), data)
        self.augment = augment
        self.patches, self.hidden = self.encoder.grid**2, count_hidden(self.encoder, hidden)
        self.token = nn.Parameter(torch.randn(encoder.dim) * 0.02)
        channels = len(encoder.mean)  # a grey image may be seen as colour
        self.paint = nn.Linear(encoder.dim, channels * self.encoder.patch**2)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x = self.augment(batch.x)
        mask = random_mask(x, self.patches, self.hidden)
        guess = self.paint(self.encoder.masked(x, mask, self.token)[:, 1:]).float()
        pixels = patchify(self.encoder.normalise(x), self.encoder.patch)  # (B, N, P)
        yield F.l1_loss(
            chosen(guess, mask, self.hidden), chosen(pixels, mask, self.hidden)
        )  # section 3.4

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        patch, size = self.encoder.patch, (x.shape[2], x.shape[3])
        mask = random_mask(x, self.patches, self.hidden)
        guess = self.paint(self.encoder.masked(x, mask, self.token)[:, 1:]).float()
        drawn = assemble(guess, patch, size) * self.encoder.std + self.encoder.mean
        hide = assemble(mask.unsqueeze(2).expand(guess.shape).to(guess), patch, size) > 0
        return {
            "image": x,
            "visible patches": x.where(~hide, 0.5),
            "hidden patches filled in": x.where(~hide, drawn.clamp(0, 1)),
        }
