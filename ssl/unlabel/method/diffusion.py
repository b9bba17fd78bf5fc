"""Denoising Diffusion Probabilistic Models. arXiv:2006.11239; cosine schedule: arXiv:2102.09672"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.nn.decoders import Denoiser
from unlabel.nn.draws import integers, normal
from unlabel.ranges import Count


class Diffusion(Method):
    """Predict the noise in an image. The encoder is the contracting half of the denoiser.

    The encoder is not told the noise level; only the expanding half is. So the features of a clean
    image are those at noise level 0.
    """

    signal: Tensor

    def __init__(self, encoder: Encoder, data: Data, steps: Count = 1000, width: Count = 32):
        super().__init__(encoder, data)
        self.register_buffer("signal", cosine_schedule(steps), persistent=False)
        self.decode = Denoiser(encoder.dim, data.shape, width)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        t = integers(batch.x, 1, len(self.signal))
        noise = normal(batch.x, *batch.x.shape[1:])
        noisy = diffuse(2 * batch.x - 1, noise, self.signal[t])
        yield F.mse_loss(self.predict(noisy, t), noise)  # equation 14

    def predict(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in images (B, C, H, W) at steps t (B,): -> (B, C, H, W)."""
        h = self.encoder((noisy + 1) / 2)
        return self.decode(noisy, h, t).float()

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        half = len(self.signal) // 2
        t = torch.full((len(x),), half, device=x.device)
        noisy = diffuse(2 * x - 1, torch.randn_like(x), self.signal[t])
        clean = estimate(noisy, self.predict(noisy, t), self.signal[half])
        sample = torch.randn_like(x)  # algorithm 2
        for s in range(len(self.signal) - 1, 0, -1):
            noise = self.predict(sample, torch.full_like(t, s))
            sample = reverse(sample, noise, torch.randn_like(x), *self.signal[[s, s - 1]])
        shown = {"image": x, "noisy": noisy, "estimate": clean, "samples": sample}
        return {k: v if k == "image" else ((v + 1) / 2).clamp(0, 1) for k, v in shown.items()}


def cosine_schedule(steps: int, s: float = 0.008) -> Tensor:
    """The share of signal ᾱ_t after t = 0 ... T steps: (T + 1,). arXiv:2102.09672, equation 17."""
    t = torch.arange(steps + 1, dtype=torch.float64)
    f = ((t / steps + s) / (1 + s) * math.pi / 2).cos().square()
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cat([torch.ones(1), (1 - beta).cumprod(0).float()])


def diffuse(x: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Sample q(x_t | x_0), equation 4: images in [-1, 1], noise, ᾱ_t (B,) -> images."""
    signal = signal.view(-1, 1, 1, 1)
    return signal.sqrt() * x + (1 - signal).sqrt() * noise


def estimate(x: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Estimate x_0 in [-1, 1] from x_t, its noise and ᾱ_t (), equation 15."""
    return ((x - (1 - signal).sqrt() * noise) / signal.sqrt()).clamp(-1, 1)


def reverse(x: Tensor, noise: Tensor, z: Tensor, signal: Tensor, before: Tensor) -> Tensor:
    """Sample x_{t-1} from x_t, its noise, fresh noise z, ᾱ_t and ᾱ_{t-1}, equations 6 and 7."""
    alpha = signal / before
    from_clean = before.sqrt() * (1 - alpha) * estimate(x, noise, signal)
    mean = (from_clean + alpha.sqrt() * (1 - before) * x) / (1 - signal)
    return mean + ((1 - before) / (1 - signal) * (1 - alpha)).sqrt() * z
