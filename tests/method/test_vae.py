"""The variational autoencoder, against its paper."""

import math

import torch

from support.batches import batch, generator, images, sigmoid
from support.models import about, assembled, composed
from unlabel.method.vae import divergence, surprise


def test_divergence_is_the_solution_of_appendix_b_of_the_vae():
    mean, log_variance = torch.randn(2, 5, 3, generator=generator()).unbind()
    total = 0.0
    for b in range(5):
        for j in range(3):
            mu, variance = mean[b, j].item(), math.exp(log_variance[b, j].item())
            total += -0.5 * (1 + math.log(variance) - mu**2 - variance)
    assert math.isclose(divergence(mean, log_variance).item(), total / 5, rel_tol=1e-5)


def test_divergence_is_the_integral_of_q_log_q_over_p():
    mu, sigma, step = 0.7, 0.4, 0.001

    def density(z: float, mean: float, deviation: float) -> float:
        normal = math.exp(-(((z - mean) / deviation) ** 2) / 2)
        return normal / (deviation * math.sqrt(2 * math.pi))

    integral = 0.0
    for k in range(-4000, 4001):
        z = mu + k * step
        q, p = density(z, mu, sigma), density(z, 0, 1)
        integral += q * math.log(q / p) * step if q else 0
    found = divergence(torch.tensor([[mu]]), torch.tensor([[2 * math.log(sigma)]]))
    assert math.isclose(found.item(), integral, rel_tol=1e-4)


def test_divergence_of_the_prior_from_itself_is_0():
    assert divergence(torch.zeros(4, 3), torch.zeros(4, 3)).item() == 0


def test_surprise_is_equation_11_of_the_vae():
    x = torch.rand(3, 1, 4, 4, generator=generator())
    logits = torch.randn(3, 1, 4, 4, generator=generator(1))
    total = 0.0
    for pixel, logit in zip(x.flatten().tolist(), logits.flatten().tolist(), strict=True):
        y = sigmoid(logit)
        total += pixel * math.log(y) + (1 - pixel) * math.log(1 - y)
    assert math.isclose(surprise(logits, x).item(), -total / 3, rel_tol=1e-5)


def test_vae_minimises_the_two_terms_of_equation_10():
    method, given = assembled(composed("vae"), about(images())), batch()
    torch.manual_seed(1)
    loss = next(method.step(given))
    torch.manual_seed(1)
    mean, log_variance = method.infer(method.encoder(given.x)).chunk(2, 1)
    z = mean + log_variance.exp().sqrt() * torch.randn(mean.shape)
    expected = divergence(mean, log_variance) + surprise(method.decode(z), given.x)
    assert math.isclose(loss.item(), expected.item(), rel_tol=1e-5)
    assert torch.equal(method.embed(method.encoder(given.x)), mean)
