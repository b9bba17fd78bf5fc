"""Masked autoencoders: patches, places, and what is hidden."""

import math

import pytest
import torch

from support.batches import images, noise
from support.models import about, assembled, composed
from unlabel.errors import UserError
from unlabel.method.mae import masked_error, standardise
from unlabel.nn.patches import assemble, patchify, sincos


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 8, 8)], ids=str)
def test_patches_round_trip_and_come_in_reading_order(shape):
    x = noise(2, *shape)
    patches = patchify(x, 4)
    columns = shape[2] // 4
    for n in range(patches.shape[1]):
        row, column = divmod(n, columns)
        square = x[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert torch.equal(patches[:, n], square.flatten(1))
    assert torch.equal(assemble(patches, 4, shape[1:]), x)


def test_the_error_of_mae_is_the_mean_over_hidden_patches_alone():
    guess, target = noise(2, 6, 4), noise(2, 6, 4, seed=1)
    hide = torch.tensor([[0, 3], [5, 1]])
    squares = [
        (float(guess[b, n, p]) - float(target[b, n, p])) ** 2
        for b in range(2)
        for n in hide[b].tolist()
        for p in range(4)
    ]
    assert math.isclose(masked_error(guess, target, hide), sum(squares) / 16, rel_tol=1e-5)
    guess.requires_grad_(True)
    masked_error(guess, target, hide).backward()
    touched = guess.grad.abs().sum(2) > 0
    assert touched.nonzero().tolist() == [[0, 0], [0, 3], [1, 1], [1, 5]]


def test_standardised_patches_have_mean_0_and_variance_1():
    patches = noise(2, 3, 8)
    values = patches[1, 2].tolist()
    mean = sum(values) / 8
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 8 + 1e-6)
    expected = torch.tensor([(v - mean) / deviation for v in values])
    assert torch.allclose(standardise(patches)[1, 2], expected, atol=1e-5)


def test_the_encoder_of_mae_sees_nothing_of_hidden_patches():
    method = assembled(composed("mae"), about(images())).eval()
    x = noise(2, 1, 16, 16)
    keep, hide = method.mask(patchify(x, method.patch))
    assert sorted(torch.cat([keep, hide], 1)[0].tolist()) == list(range(16))
    patches = patchify(x, method.patch)
    patches[torch.arange(2)[:, None], hide] = 0.7
    other = assemble(patches, method.patch, (16, 16))
    got = [method.decode(method.encoder.tokens(each, keep), keep) for each in (x, other)]
    assert torch.equal(*got)


def test_maes_pictures_use_nothing_of_hidden_patches():
    method = assembled(composed("mae"), about(images())).eval()
    x = noise(2, 1, 16, 16)
    keep, hide = method.mask(patchify(x, method.patch))
    method.mask = lambda patches: (keep, hide)
    patches = patchify(x, method.patch)
    patches[torch.arange(2)[:, None], hide] = 0.7
    other = assemble(patches, method.patch, (16, 16))
    shown = [list(method.show(each).values()) for each in (x, other)]
    assert torch.equal(shown[0][1], shown[1][1])
    assert torch.equal(shown[0][2], shown[1][2])
    assert not torch.equal(shown[0][2], x)


def test_mae_says_which_encoders_have_patches():
    with pytest.raises(UserError, match="not ResNetMini; set encoder=vit_mini"):
        assembled(composed("mae", "encoder=resnet_mini"), about(images()))


def test_places_in_a_grid_are_all_different_and_neighbours_alike():
    place = sincos(5, 16)
    assert place.shape == (25, 16)
    distance = torch.cdist(place, place)
    assert (distance + torch.eye(25) > 0.1).all()
    assert distance[0, 1] < distance[0, 4]
    assert torch.allclose(distance[0, 1], distance[0, 5])  # a column on, and a row on


@pytest.mark.parametrize("name", ["vit_mini", "vit_tiny"])
def test_a_vision_transformer_sees_other_sizes_that_divide_into_patches(name):
    encoder = assembled(composed("simclr", f"encoder={name}"), about(images())).encoder.eval()
    assert encoder.maps(noise(2, 1, 8, 12)).shape == (2, encoder.dim, 2, 3)
    with pytest.raises(UserError, match="choose multiples of the patch"):
        encoder(noise(2, 1, 10, 10))
