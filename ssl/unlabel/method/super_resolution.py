"""Image Super-Resolution Using Deep Convolutional Networks. arXiv:1501.00092"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.metric import Metric
from unlabel.nn.decoders import Decoder
from unlabel.nn.distributed import average
from unlabel.ranges import Count, NonNegative


class SuperResolution(Method):
    """Restore an image from a coarse copy of it, `factor` times smaller.

    The paper's three layers see the coarse image and one decoded from its code. Detail that a
    pixel's neighbourhood does not determine must come from the encoder.
    """

    logs = (LOSS, Metric("gain", "gain over the coarse image", unit="dB", better="higher"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        factor: Count = 3,
        filters: tuple[Count, Count] = (64, 32),
        width: Count = 32,
        guide: NonNegative = 0.0,  # weight of the decoded image's own error
    ):
        super().__init__(encoder, data)
        self.factor, self.guide, channels = factor, guide, data.shape[0]
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
        drawn = self.draw(self.encoder(low))
        restored = self.sharpen(low, drawn)
        self.measure(lambda: {"gain": psnr(restored, batch.x) - psnr(low, batch.x)})  # decibels
        loss = F.mse_loss(restored, batch.x)  # equation 4
        yield loss + self.guide * F.mse_loss(drawn, batch.x)

    def sharpen(self, low: Tensor, drawn: Tensor) -> Tensor:
        """The coarse image and the decoded one -> the restored one, (B, C, H, W) each."""
        return low + self.restore(torch.cat([low, drawn], 1))

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        low = coarse(x, self.factor)
        drawn = self.draw(self.encoder(low))
        shown = {"decoded from its code": drawn, "restored": self.sharpen(low, drawn)}
        coarser = {"image": x, f"{self.factor} times coarser": low}
        return coarser | {caption: picture.clamp(0, 1) for caption, picture in shown.items()}


def coarse(x: Tensor, factor: int) -> Tensor:
    """Shrink images by `factor` and enlarge them again: (B, C, H, W) -> (B, C, H, W).

    Both are bicubic; shrinking is antialiased.
    """
    size = [max(1, round(side / factor)) for side in x.shape[2:]]
    low = F.interpolate(x, size, mode="bicubic", antialias=True)
    return F.interpolate(low, x.shape[2:], mode="bicubic").clamp(0, 1)


@torch.no_grad()
def psnr(x: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of the batch in decibels, for images with peak 1 -> ()."""
    return -10 * average(F.mse_loss(x.float(), target)).log10()
