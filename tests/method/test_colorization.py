"""Colorization: bins of colours, their weights and the loss."""

import itertools
import math

import pytest
import torch

from support.batches import noise
from unlabel.augment import colour
from unlabel.method.colorization import rarity, rebalanced


def test_luma_and_chroma_join_to_the_colours():
    x = noise(2, 3, 4, 4)
    luma, chroma = colour.separate(x)
    r, g, b = x[0, :, 1, 2].tolist()
    assert math.isclose(luma[0, 0, 1, 2], 0.299 * r + 0.587 * g + 0.114 * b, rel_tol=1e-5)
    assert torch.allclose(colour.join(luma, chroma), x, atol=1e-5)
    grey = noise(2, 1, 4, 4).expand(-1, 3, -1, -1)
    assert colour.separate(grey)[1].abs().max() < 1e-3


@pytest.mark.parametrize("bins", [colour.chroma_bins(0.1), colour.intensity_bins(0.1)])
def test_bins_invert(bins):
    """The most weighted bin of a value is the nearest, and of a bin's own value that bin."""
    assert len(bins.unique(dim=0)) == len(bins)
    own = colour.soft_encode(bins.T[None, :, :, None], bins, 0.05)
    assert own.argmax(1).flatten().tolist() == list(range(len(bins)))
    assert torch.allclose(own.sum(1), torch.ones(1, len(bins), 1))
    sharp = colour.recolour((own.clamp(min=1e-9).log() / 0.01).softmax(1), bins.T)
    assert torch.allclose(sharp[0, :, :, 0].T, bins, atol=1e-4)


def test_every_colour_is_near_a_bin():
    bins = colour.chroma_bins(0.1)
    _, chroma = colour.separate(noise(1, 3, 50, 50))
    nearest = torch.cdist(chroma[0].flatten(1).T, bins).amin(1)
    assert nearest.max() <= 0.1 * 2**0.5 / 2 + 0.01  # half a diagonal


def test_soft_encoding_is_a_gaussian_of_the_five_nearest_bins():
    bins, values, sigma = colour.chroma_bins(0.2), noise(1, 2, 2, 2) - 0.5, 0.1
    got = colour.soft_encode(values, bins, sigma)
    for i, j in itertools.product(range(2), range(2)):
        point = values[0, :, i, j].tolist()
        square = [sum((p - q) ** 2 for p, q in zip(point, b, strict=True)) for b in bins.tolist()]
        near = sorted(range(len(bins)), key=square.__getitem__)[:5]
        weight = {q: math.exp(-square[q] / (2 * sigma**2)) for q in near}
        total = sum(weight.values())
        expected = torch.tensor([weight.get(q, 0.0) / total for q in range(len(bins))])
        assert torch.allclose(got[0, :, i, j], expected, atol=1e-5)


def test_rare_bins_weigh_more_and_1_on_average():
    prior, mix = torch.tensor([0.7, 0.2, 0.1]), 0.5
    raw = [1 / ((1 - mix) * p + mix / 3) for p in prior.tolist()]
    mean = sum(p * w for p, w in zip(prior.tolist(), raw, strict=True))
    assert torch.allclose(rarity(prior, mix), torch.tensor([w / mean for w in raw]))
    assert rarity(prior, mix).diff().min() > 0


def test_the_loss_of_colorization_is_equation_2():
    logits, weight = noise(2, 3, 2, 2), torch.tensor([0.5, 1.0, 2.0])
    target = noise(2, 3, 2, 2, seed=1).softmax(1)
    total = 0.0
    for b, i, j in itertools.product(range(2), repeat=3):
        below = sum(math.exp(v) for v in logits[b, :, i, j].tolist())
        z = target[b, :, i, j].tolist()
        guess = [math.exp(v) / below for v in logits[b, :, i, j].tolist()]
        v = weight[z.index(max(z))].item()
        total -= v * sum(p * math.log(q) for p, q in zip(z, guess, strict=True))
    assert math.isclose(rebalanced(logits, target, weight), total / 8, rel_tol=1e-5)
