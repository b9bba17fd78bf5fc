"""The generative and restoring methods against plain-loop transcriptions of their papers."""

import math

import pytest
import torch
from torch import nn

from support.models import about, assembled, composed
from unlabel.data.images import Images
from unlabel.method import Batch
from unlabel.method.denoising import corrupt
from unlabel.method.diffusion import cosine_schedule, diffuse, estimate, reverse
from unlabel.method.gan import discriminator_loss, generator_loss
from unlabel.method.inpainting import contents, holes, reconstruction_loss
from unlabel.method.super_resolution import coarse, psnr
from unlabel.method.vae import divergence, surprise
from unlabel.nn.decoders import Decoder, Denoiser, Discriminator, sinusoids
from unlabel.params.settings import build
from unlabel.training.loop import update

ADVERSARIAL = [("gan", "base"), ("bigan", "base"), ("inpainting", "method.adversarial=0.5")]


def images(shape: tuple[int, int, int] = (1, 16, 16), n: int = 8) -> Images:
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=generator())
    return Images.of(torch.arange(n), pixels, torch.arange(n) % 4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(shape: tuple[int, int, int] = (1, 16, 16)) -> Batch:
    data = images(shape)
    return Batch(data.image / 255, data.label, data.id, 0.0)


def squared_error(a: torch.Tensor, b: torch.Tensor) -> float:
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    return sum((p - q) ** 2 for p, q in pairs) / len(pairs)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


# Denoising autoencoder


def test_masking_makes_the_given_share_of_values_zero():
    x = 0.5 + torch.rand(4, 3, 40, 40, generator=generator()) / 2
    masked = corrupt(x, "masking", 0.25)
    assert math.isclose((masked == 0).float().mean().item(), 0.25, abs_tol=0.02)
    assert torch.equal(masked[masked != 0], x[masked != 0])


def test_salt_and_pepper_is_half_salt():
    x = torch.full((4, 1, 60, 60), 0.5)
    corrupted = corrupt(x, "salt_and_pepper", 0.4)
    assert math.isclose((corrupted == 0).float().mean().item(), 0.2, abs_tol=0.02)
    assert math.isclose((corrupted == 1).float().mean().item(), 0.2, abs_tol=0.02)
    assert ((corrupted == 0.5) | (corrupted == 0) | (corrupted == 1)).all()


def test_gaussian_corruption_has_the_given_deviation():
    noise = corrupt(torch.full((4, 1, 60, 60), 0.5), "gaussian", 0.3) - 0.5
    assert math.isclose(noise.mean().item(), 0, abs_tol=0.01)
    assert math.isclose(noise.std().item(), 0.3, abs_tol=0.01)


def test_nothing_is_corrupted_at_level_0():
    x = torch.rand(2, 1, 8, 8)
    for corruption in ("masking", "gaussian", "salt_and_pepper"):
        assert torch.equal(corrupt(x, corruption, 0.0), x)


def test_the_denoising_target_is_the_clean_image():
    method, given = assembled(composed("denoising"), about(images())), batch()
    torch.manual_seed(1)
    loss = next(method.step(given))
    torch.manual_seed(1)
    corrupted = corrupt(given.x, method.corruption, method.level)
    drawn = method.decode(method.encoder(corrupted))
    assert math.isclose(loss.item(), squared_error(drawn, given.x), rel_tol=1e-5)


# VAE


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


# GAN, BiGAN and the context encoder's adversary


def test_gan_losses_are_equation_1_and_its_form_that_does_not_saturate():
    real, fake = torch.randn(2, 6, 1, generator=generator()).unbind()
    value = sum(math.log(sigmoid(r)) for r in real.flatten().tolist()) / 6
    value += sum(math.log(1 - sigmoid(f)) for f in fake.flatten().tolist()) / 6
    assert math.isclose(discriminator_loss(real, fake).item(), -value, rel_tol=1e-5)
    deceived = sum(math.log(sigmoid(f)) for f in fake.flatten().tolist()) / 6
    assert math.isclose(generator_loss(fake).item(), -deceived, rel_tol=1e-5)


def test_a_discriminator_that_cannot_tell_loses_log_4():
    undecided = torch.zeros(5, 1)
    assert math.isclose(discriminator_loss(undecided, undecided).item(), math.log(4), rel_tol=1e-6)


@pytest.mark.parametrize(("name", "variant"), ADVERSARIAL)
def test_each_player_changes_its_own_weights_alone(name, variant, hardware):
    settings = composed(name, variant)
    method = assembled(settings, about(images())).train()
    players = method.players()
    mine = [{id(p) for p in player.parameters()} for player in players]
    assert not mine[0] & mine[1]
    assert mine[0] | mine[1] == {id(p) for p in method.parameters()}
    for turn, player in enumerate(players):
        optimizers = [_Still(p) for p in players]
        optimizers[turn] = build(settings["optimizer"], module=player)
        before = {key: p.detach().clone() for key, p in method.named_parameters()}
        update(method, [batch()], optimizers, hardware)
        for key, parameter in method.named_parameters():
            moved = not torch.equal(parameter, before[key])
            assert moved == (id(parameter) in mine[turn]), key


@pytest.mark.parametrize(("name", "variant"), ADVERSARIAL)
def test_gradients_left_over_from_the_other_players_turn_do_no_harm(name, variant, hardware):
    """The loop zeroes one player's gradients before its turn; zeroing all comes to the same."""
    settings = composed(name, variant)
    looped, plain = (assembled(settings, about(images())).train() for _ in range(2))
    optimizers = [build(settings["optimizer"], module=p) for p in looped.players()]
    for step in range(3):
        torch.manual_seed(step)
        update(looped, [batch()], optimizers, hardware)

    optimizers = [build(settings["optimizer"], module=p) for p in plain.players()]
    for step in range(3):
        torch.manual_seed(step)
        for loss, optimizer in zip(plain.step(batch()), optimizers, strict=True):
            for parameter in plain.parameters():
                parameter.grad = None
            loss.backward()
            optimizer.step()
    expected = plain.state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in looped.state_dict().items())


class _Still(torch.optim.SGD):
    """An optimizer that moves nothing."""

    def __init__(self, module: nn.Module):
        super().__init__(module.parameters(), lr=0.0)


def test_bigan_exchanges_the_labels_for_the_encoder_and_the_generator(hardware):
    """At the same discriminator, equation 3 and its converse, from the pairs themselves."""
    method, given = assembled(composed("bigan"), about(images())), batch()
    torch.manual_seed(1)
    first, second = (loss.item() for loss in method.step(given))  # no weights change in between
    torch.manual_seed(1)
    z = method.noise(given.x)
    drawn, code = method.generate(z), method.embed(method.encoder(given.x))
    real = [sigmoid(v) for v in method.discriminate(given.x, code).flatten().tolist()]
    fake = [sigmoid(v) for v in method.discriminate(drawn, z).flatten().tolist()]
    value = sum(math.log(r) + math.log(1 - f) for r, f in zip(real, fake, strict=True)) / 8
    converse = sum(math.log(1 - r) + math.log(f) for r, f in zip(real, fake, strict=True)) / 8
    assert math.isclose(first, -value, rel_tol=1e-4)
    assert math.isclose(second, -converse, rel_tol=1e-4)


# Diffusion


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


# Super-resolution


def test_the_coarse_image_lost_what_is_finer_than_its_pixels():
    flat = torch.full((1, 3, 20, 20), 0.4)
    assert torch.allclose(coarse(flat, 3), flat, atol=1e-6)
    chequered = (torch.arange(24)[:, None] + torch.arange(24)) % 2.0
    assert (coarse(chequered.view(1, 1, 24, 24), 4) - 0.5).abs().max() < 0.05
    assert coarse(torch.rand(2, 1, 20, 28), 3).shape == (2, 1, 20, 28)


def test_the_super_resolution_loss_is_equation_4():
    method, given = assembled(composed("super_resolution"), about(images())), batch()
    loss = next(method.step(given))
    low = coarse(given.x, method.factor)
    drawn = method.draw(method.encoder(low))
    restored = method.sharpen(low, drawn)
    guided = squared_error(restored, given.x) + method.guide * squared_error(drawn, given.x)
    assert method.guide > 0
    assert math.isclose(loss.item(), guided, rel_tol=1e-5)
    gain = 10 * math.log10(squared_error(low, given.x) / squared_error(restored, given.x))
    assert math.isclose(method.measures["gain"].item(), gain, rel_tol=1e-3, abs_tol=1e-4)
    assert math.isclose(psnr(given.x + 0.1, given.x).item(), 20, rel_tol=1e-4)


# Inpainting


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 21, 17)])
def test_holes_are_whole_squares_that_reach_every_side(shape):
    torch.manual_seed(0)
    hole = holes(torch.zeros(400, *shape), 8)
    assert hole.shape == (400, *shape)
    for square in hole:
        rows, columns = square[0].any(1).nonzero(), square[0].any(0).nonzero()
        assert square.sum() == shape[0] * 64
        assert rows.max() - rows.min() == columns.max() - columns.min() == 7
    reached = hole.any(0)[0]
    assert reached.any(0).all()
    assert reached.any(1).all()


def test_the_contents_of_a_hole_are_the_pixels_inside():
    x = torch.rand(5, 3, 20, 16)
    hole = holes(x, 6)
    for image, square, inside in zip(x, hole, contents(x, hole), strict=True):
        top, left = square[0].nonzero()[0].tolist()
        assert torch.equal(inside, image[:, top : top + 6, left : left + 6])


def test_the_reconstruction_loss_is_equation_1_of_context_encoders():
    x, drawn = torch.rand(2, 4, 1, 8, 8, generator=generator()).unbind()
    hole = holes(x, 4)
    total = 0.0
    for b in range(4):
        for i in range(8):
            for j in range(8):
                mask = float(hole[b, 0, i, j])
                total += (mask * (x[b, 0, i, j].item() - drawn[b, 0, i, j].item())) ** 2
    found = reconstruction_loss(drawn, x, hole).item()
    assert math.isclose(found, total / (4 * 16), rel_tol=1e-5)


def test_what_is_in_the_hole_has_no_part_in_filling_it():
    method = assembled(composed("inpainting"), about(images())).eval()
    x = batch().x
    hole = holes(x, method.side)
    other = torch.where(hole, torch.rand_like(x), x)
    assert torch.equal(method.fill(x, hole), method.fill(other, hole))


def test_the_joint_loss_is_equation_3_of_context_encoders():
    settings = composed("inpainting", "method.adversarial=0.25")
    method, given = assembled(settings, about(images())), batch()
    torch.manual_seed(1)
    first, second = (loss.item() for loss in method.step(given))  # no weights change in between
    torch.manual_seed(1)
    hole = holes(given.x, method.side)
    drawn = method.fill(given.x, hole)
    real = method.discriminate(contents(given.x, hole))
    fake = method.discriminate(contents(drawn, hole))
    assert math.isclose(first, discriminator_loss(real, fake).item(), rel_tol=1e-5)
    joint = 0.75 * reconstruction_loss(drawn, given.x, hole) + 0.25 * generator_loss(fake)
    assert math.isclose(second, joint.item(), rel_tol=1e-4)


# What they draw with


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 28), (1, 9, 8), (3, 96, 96)], ids=str)
def test_decoders_and_discriminators_fit_every_size(shape):
    assert Decoder(10, shape, 4)(torch.randn(2, 10)).shape == (2, *shape)
    drawn = Denoiser(10, shape, 4)(torch.randn(2, *shape), torch.randn(2, 10), torch.tensor([1, 9]))
    assert drawn.shape == (2, *shape)
    assert Discriminator(shape, 4)(torch.randn(2, *shape)).shape == (2, 1)
    pair = Discriminator(shape, 4, latent=6)(torch.randn(2, *shape), torch.randn(2, 6))
    assert pair.shape == (2, 1)
