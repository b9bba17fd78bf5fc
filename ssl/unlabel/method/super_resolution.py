"""Image Super-Resolution Using Deep Convolutional Networks. arXiv:1501.00092"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.decoders import Decoder
from unlabel.encoder import Encoder
from unlabel.images import Data
from unlabel.method import Batch, Method


class SuperResolution(Method):
    """Restore an image from a coarse copy of it, `factor` times smaller.

    The paper's three layers look at the coarse image and at one drawn from its code: what cannot
    be told from a pixel's neighbourhood has to come from the encoder.
    """

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        factor: int = 3,
        filters: tuple[int, int] = (64, 32),
        width: int = 32,
    ):
        super().__init__(encoder, data)
        self.factor, channels = factor, data.shape[0]
        self.draw = Decoder(encoder.dim, data.shape, width)
        self.restore = nn.Sequential(
            nn.Conv2d(2 * channels, filters[0], 9, padding=4),  # patch extraction
            nn.ReLU(),
            nn.Conv2d(filters[0], filters[1], 1),  # non-linear mapping
            nn.ReLU(),
            nn.Conv2d(filters[1], channels, 5, padding=2),  # reconstruction
        )

    def step(self, batch: Batch) -> Iterator[Tensor]:
        low = coarse(batch.x, self.factor)
        restored = self.sharpen(low)
        self.measures = {"gain": psnr(restored, batch.x) - psnr(low, batch.x)}  # decibels
        yield F.mse_loss(restored, batch.x)  # equation 4

    def sharpen(self, low: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        drawn = self.draw(self.encoder(low))
        return low + self.restore(torch.cat([low, drawn], 1))

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        low = coarse(x, self.factor)
        restored = self.sharpen(low).clamp(0, 1)
        return {"image": x, f"{self.factor} times coarser": low, "restored": restored}


def coarse(x: Tensor, factor: int) -> Tensor:
    """Images of `factor` times fewer rows and columns, at full size (B, C, H, W) -> (B, C, H, W).

    Both ways bicubic, down with antialiasing.
    """
    size = [max(1, round(side / factor)) for side in x.shape[2:]]
    low = F.interpolate(x, size, mode="bicubic", antialias=True)
    return F.interpolate(low, x.shape[2:], mode="bicubic").clamp(0, 1)


@torch.no_grad()
def psnr(x: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in decibels of images whose peak is 1, over the batch -> ()."""
    return -10 * F.mse_loss(x.float(), target).log10()
