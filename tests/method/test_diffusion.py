"""Diffusion, against its papers."""

import math

import pytest
import torch

from support.batches import batch, generator, images, squared_error
from support.models import about, assembled, composed
from unlabel.method.diffusion import cosine_schedule, diffuse, estimate, reverse
from unlabel.nn.decoders import sinusoids


def test_the_cosine_schedule_is_equation_17_of_improved_ddpm():
    steps, signal = 50, cosine_schedule(50)
    assert signal.shape == (51,)
    assert signal[0] == 1

    def f(t: int) -> float:
        return math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in range(steps):
        assert math.isclose(signal[t].item(), f(t) / f(0), rel_tol=1e-5)
    last = 1 - signal[steps].item() / signal[steps - 1].item()
    assert math.isclose(last, 0.999, rel_tol=1e-5)  # beta is cut there, as f(T) = 0
    assert (signal.diff() < 0).all()


def test_diffusing_at_once_is_noising_step_by_step():
    """Equation 4 has the mean and the variance of equation 2, iterated."""
    steps, signal = 20, cosine_schedule(20)
    mean, variance, x = 1.0, 0.0, 0.6
    for t in range(1, steps + 1):
        beta = 1 - signal[t].item() / signal[t - 1].item()
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        image = torch.full((1, 1, 1, 1), x)
        level = signal[t].view(1)
        still = diffuse(image, torch.zeros_like(image), level).item()
        moved = diffuse(image, torch.ones_like(image), level).item()
        assert math.isclose(still, mean * x, rel_tol=1e-4)
        assert math.isclose((moved - still) ** 2, variance, rel_tol=1e-4)


def test_the_estimate_of_the_clean_image_undoes_diffusion():
    x = torch.rand(2, 1, 4, 4, generator=generator()) * 2 - 1
    noise, level = torch.randn(2, 1, 4, 4, generator=generator(1)), torch.tensor(0.3)
    noisy = diffuse(x, noise, level.expand(2))
    assert torch.allclose(estimate(noisy, noise, level), x, atol=1e-5)


@pytest.mark.parametrize("t", [1, 2, 10, 15])
def test_a_reverse_step_is_equation_11_and_algorithm_2(t):
    signal = cosine_schedule(20)
    clean, noise, z = 0.3, 0.8, -1.3
    now, before = signal[t].item(), signal[t - 1].item()
    alpha, beta = now / before, 1 - now / before
    x = math.sqrt(now) * clean + math.sqrt(1 - now) * noise
    mean = (x - beta / math.sqrt(1 - now) * noise) / math.sqrt(alpha)  # equation 11
    variance = (1 - before) / (1 - now) * beta  # equation 7
    expected = mean + (math.sqrt(variance) * z if t > 1 else 0)  # algorithm 2, line 3
    tensors = (torch.full((1, 1, 1, 1), value) for value in (x, noise, z))
    found = reverse(*tensors, signal[t], signal[t - 1])
    assert math.isclose(found.item(), expected, rel_tol=1e-4)


def test_a_perfect_prediction_of_the_noise_samples_the_image():
    signal, x = cosine_schedule(30), torch.rand(2, 3, 4, 4, generator=generator()) * 2 - 1
    sample = torch.randn(x.shape, generator=generator(1))
    for t in range(30, 0, -1):
        noise = (sample - signal[t].sqrt() * x) / (1 - signal[t]).sqrt()
        z = torch.randn(x.shape, generator=generator(t))
        sample = reverse(sample, noise, z, signal[t], signal[t - 1])
    assert torch.allclose(sample, x, atol=1e-5)


def test_the_diffusion_loss_is_equation_14():
    method, given = assembled(composed("diffusion"), about(images())), batch()
    torch.manual_seed(1)
    loss = next(method.step(given))
    torch.manual_seed(1)
    t = torch.randint(1, len(method.signal), (8,))
    noise = torch.randn(given.x.shape)
    level = method.signal[t].view(-1, 1, 1, 1)
    noisy = level.sqrt() * (given.x * 2 - 1) + (1 - level).sqrt() * noise
    predicted = method.decode(noisy, method.encoder((noisy + 1) / 2), t)
    assert math.isclose(loss.item(), squared_error(predicted, noise), rel_tol=1e-5)


def test_steps_are_told_apart_by_the_sinusoids_of_the_transformer():
    t = torch.tensor([0, 1, 7])
    found = sinusoids(t)
    n = found.shape[1]
    for row, step in enumerate(t.tolist()):
        for i in range(n // 2):
            angle = step / 10000 ** (2 * i / n)
            assert math.isclose(found[row, i].item(), math.sin(angle), abs_tol=1e-5)
            assert math.isclose(found[row, n // 2 + i].item(), math.cos(angle), abs_tol=1e-5)
