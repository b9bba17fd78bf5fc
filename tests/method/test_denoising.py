"""Denoising autoencoders, against their paper."""

import math

import torch

from support.batches import batch, generator, images, squared_error
from support.models import about, assembled, composed
from unlabel.method.denoising import corrupt


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
