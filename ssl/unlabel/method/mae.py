"""Masked Autoencoders Are Scalable Vision Learners. arXiv:2111.06377"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.augment.tiles import take
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch
from unlabel.method._patches import PatchMethod, count_hidden, with_patches
from unlabel.nn.draws import uniform
from unlabel.nn.patches import PatchDecoder, assemble, patchify
from unlabel.ranges import Count, PartialShare


class MAE(PatchMethod):
    """Hide most of an image's patches. The encoder sees the rest, a decoder predicts the hidden."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 512,
        depth: Count = 8,
        heads: Count = 16,
        hidden: PartialShare = 0.75,
        normalise: bool = True,
    ):
        super().__init__(with_patches(encoder, "mae"), data)
        self.augment, self.normalise = augment, normalise
        self.patch, grid = self.encoder.patch, self.encoder.grid
        self.seen = grid**2 - count_hidden(self.encoder, hidden)
        pixels = data.shape[0] * self.patch**2
        self.decode = PatchDecoder(encoder.dim, grid, pixels, width, depth, heads)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x = self.augment(batch.x)
        patches = patchify(x, self.patch)  # (B, N, P)
        keep, hide = self.mask(patches)
        guess = self.decode(self.encoder.tokens(x, keep), keep)
        yield masked_error(guess, standardise(patches) if self.normalise else patches, hide)

    def mask(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Random indices of the visible and the hidden patches: (B, N, P) -> (B, K), (B, N - K)."""
        order = uniform(patches, patches.shape[1]).argsort(1)
        return order[:, : self.seen], order[:, self.seen :]

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        patches, size = patchify(x, self.patch), (x.shape[2], x.shape[3])
        keep, _ = self.mask(patches)
        guess = self.decode(self.encoder.tokens(x, keep), keep)
        visible, caption = take(patches, keep), "hidden patches filled in"
        if self.normalise:  # a patch is predicted without its mean and contrast
            contrast = visible.std(2, correction=0).mean(1)[:, None, None]
            guess = guess * contrast + visible.mean((1, 2), True)
            caption += ", with the visible patches' mean and contrast"
        seen = torch.zeros_like(patches[:, :, :1]).scatter(1, keep.unsqueeze(2), 1) > 0
        pictures = {"visible patches": 0.5, caption: guess.clamp(0, 1)}
        filled = {
            k: assemble(patches.where(seen, v), self.patch, size) for k, v in pictures.items()
        }
        return {"image": x} | filled


def masked_error(guess: Tensor, target: Tensor, hide: Tensor) -> Tensor:
    """The mean squared error on the hidden patches alone: (B, N, P) each, (B, M) -> ()."""
    return F.mse_loss(take(guess, hide), take(target, hide))


def standardise(patches: Tensor) -> Tensor:
    """Scale each patch (..., P) to mean 0 and variance 1 (section 4.1, reconstruction target)."""
    return F.layer_norm(patches, patches.shape[-1:], eps=1e-6)
