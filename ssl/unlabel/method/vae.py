"""Auto-Encoding Variational Bayes. arXiv:1312.6114"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method
from unlabel.metric import Metric
from unlabel.nn.decoders import Decoder
from unlabel.nn.draws import normal
from unlabel.ranges import Count


class VAE(Method):
    """Encode an image as a Gaussian over codes, close to N(0, I), and decode a sample of it."""

    logs = (
        LOSS,
        Metric("kl", "divergence from the prior", unit="nats per image", better="lower"),
        Metric("reconstruction", "reconstruction loss", unit="nats per image", better="lower"),
    )

    def __init__(self, encoder: Encoder, data: Data, latent: Count = 20, width: Count = 32):
        super().__init__(encoder, data)
        self.latent = latent
        self.infer = nn.Linear(encoder.dim, 2 * latent)  # h -> mean and log variance of q(z|x)
        self.decode = Decoder(latent, data.shape, width)  # z -> logits of p(x|z)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        mean, log_variance = self.infer(self.encoder(batch.x)).float().chunk(2, 1)
        z = mean + (log_variance / 2).exp() * normal(mean, self.latent)  # section 2.4
        kl, nll = divergence(mean, log_variance), surprise(self.decode(z), batch.x)
        self.measure(lambda: {"kl": kl, "reconstruction": nll})  # nats per image
        yield kl + nll  # equation 10 with L = 1, negated

    def embed(self, h: Tensor) -> Tensor:
        mean: Tensor = self.infer(h)[:, : self.latent]
        return mean

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        guess = self.decode(self.embed(self.encoder(x))).sigmoid()
        sample = self.decode(normal(x, self.latent)).sigmoid()
        return {"image": x, "decoded from its mean": guess, "samples": sample}


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)), averaged over images, appendix B: (B, d), (B, d) -> ()."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def surprise(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) of Bernoulli pixels in [0, 1], equation 11: (B, C, H, W) each -> ()."""
    return F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum") / len(x)
