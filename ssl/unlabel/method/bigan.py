"""Adversarial Feature Learning. arXiv:1605.09782"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._metrics import ADVERSARIAL, TOLD_APART
from unlabel.method.gan import discriminator_loss, told_apart
from unlabel.nn.decoders import Decoder, Discriminator
from unlabel.nn.draws import normal
from unlabel.nn.layers import mlp
from unlabel.ranges import Count


class BiGAN(Method):
    """A discriminator tells (image, its code) from (generated image, the code it was made from).

    To fool it, the encoder must invert the generator (theorem 2).
    """

    logs = (*ADVERSARIAL, TOLD_APART)

    def __init__(self, encoder: Encoder, data: Data, latent: Count = 50, width: Count = 32):
        super().__init__(encoder, data)
        self.latent = latent
        # E is the encoder and this head. Batch norm gives codes the mean and variance of the prior.
        self.project = mlp(encoder.dim, latent, norm_out=True)
        self.generate = nn.Sequential(Decoder(latent, data.shape, width), nn.Sigmoid())
        self.discriminate = Discriminator(data.shape, width, latent)

    def players(self) -> Sequence[nn.Module]:
        return [self.discriminate, nn.ModuleList([self.encoder, self.project, self.generate])]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        z = self.noise(batch.x)
        drawn, code = self.generate(z), self.embed(self.encoder(batch.x))
        real, fake = self.discriminate(batch.x, code.detach()), self.discriminate(drawn.detach(), z)
        self.measure(lambda: {"told_apart": told_apart(real, fake)})
        yield discriminator_loss(real, fake)  # equation 3
        real = self.discriminate(batch.x, code)
        yield discriminator_loss(self.discriminate(drawn, z), real)  # with the labels exchanged

    def noise(self, x: Tensor) -> Tensor:
        """A code from N(0, I) for each image: (B, C, H, W) -> z (B, d)."""
        return normal(x, self.latent)

    def embed(self, h: Tensor) -> Tensor:
        code: Tensor = self.project(h)
        return code

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        drawn = self.generate(self.embed(self.encoder(x)))
        return {"image": x, "reconstruction": drawn, "samples": self.generate(self.noise(x))}
