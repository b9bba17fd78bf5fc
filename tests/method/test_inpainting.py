"""Context encoders, against their paper."""

import math

import pytest
import torch
import torch.nn.functional as F

from support.batches import batch, images
from support.models import about, assembled, composed
from unlabel.method.gan import discriminator_loss, generator_loss
from unlabel.method.inpainting import contents, holes


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
    for image, square, inside in zip(x, hole, contents(x, hole, 6), strict=True):
        top, left = square[0].nonzero()[0].tolist()
        assert torch.equal(inside, image[:, top : top + 6, left : left + 6])


def test_the_reconstruction_loss_is_equation_1_of_context_encoders():
    method = assembled(composed("inpainting", "method.adversarial=0"), about(images())).eval()
    x, side = batch().x, method.side
    torch.manual_seed(1)
    (found,) = (loss.item() for loss in method.step(batch()))
    torch.manual_seed(1)
    hole = holes(x, side)
    drawn = method.fill(x, hole)
    total = 0.0
    for b, channel, i, j in hole.nonzero().tolist():
        total += (x[b, channel, i, j].item() - drawn[b, channel, i, j].item()) ** 2
    assert math.isclose(found, total / (len(x) * x.shape[1] * side**2), rel_tol=1e-5)


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
    inside = [contents(x, hole, method.side) for x in (given.x, drawn)]
    real, fake = (method.discriminate(each) for each in inside)
    assert math.isclose(first, discriminator_loss(real, fake).item(), rel_tol=1e-5)
    joint = 0.75 * F.mse_loss(*inside) + 0.25 * generator_loss(fake)
    assert math.isclose(second, joint.item(), rel_tol=1e-4)
