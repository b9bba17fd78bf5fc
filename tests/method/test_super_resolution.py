"""Super-resolution, against its paper."""

import math

import torch

from support.batches import batch, images, squared_error
from support.models import about, assembled, composed
from unlabel.method.super_resolution import coarse, psnr


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
