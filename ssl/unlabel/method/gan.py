"""Deep Convolutional Generative Adversarial Networks. arXiv:1511.06434, after arXiv:1406.2661"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._metrics import ADVERSARIAL, TOLD_APART
from unlabel.nn.decoders import Decoder
from unlabel.nn.draws import uniform
from unlabel.ranges import Count


class GAN(Method):
    """A discriminator tells generated images from real ones; its trunk is the encoder."""

    logs = (*ADVERSARIAL, TOLD_APART)

    def __init__(self, encoder: Encoder, data: Data, latent: Count = 100, width: Count = 32):
        super().__init__(encoder, data)
        self.latent = latent
        self.discriminate = nn.Sequential(encoder, nn.Linear(encoder.dim, 1))  # logits of D
        draw = Decoder(latent, data.shape, width, start=4)  # from 4 x 4, as in figure 1
        self.generate = nn.Sequential(draw, nn.Sigmoid())

    def players(self) -> Sequence[nn.Module]:
        return [self.discriminate, self.generate]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        fake = self.generate(self.noise(batch.x))
        real, drawn = self.discriminate(batch.x), self.discriminate(fake.detach())
        self.measure(lambda: {"told_apart": told_apart(real, drawn)})
        yield discriminator_loss(real, drawn)
        yield generator_loss(self.discriminate(fake))

    def noise(self, x: Tensor) -> Tensor:
        """A code for each image, uniform in [-1, 1]: (B, C, H, W) -> z (B, d)."""
        return uniform(x, self.latent, low=-1, high=1)

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        return {"image": x, "samples": self.generate(self.noise(x))}


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), arXiv:1406.2661, equation 1: logits (B, 1) each -> ()."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-log D(G(z)), the non-saturating form (section 3): logits (B, 1) -> ()."""
    return F.softplus(-fake.float()).mean()


@torch.no_grad()
def told_apart(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's accuracy: logits (B, 1) each -> ()."""
    return torch.cat([real > 0, fake < 0]).float().mean()
