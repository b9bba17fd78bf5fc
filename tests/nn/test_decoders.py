"""Decoders and discriminators."""

import pytest
import torch

from unlabel.nn.decoders import Decoder, Denoiser, Discriminator


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 28), (1, 9, 8), (3, 96, 96)], ids=str)
def test_decoders_and_discriminators_fit_every_size(shape):
    assert Decoder(10, shape, 4)(torch.randn(2, 10)).shape == (2, *shape)
    drawn = Denoiser(10, shape, 4)(torch.randn(2, *shape), torch.randn(2, 10), torch.tensor([1, 9]))
    assert drawn.shape == (2, *shape)
    assert Discriminator(shape, 4)(torch.randn(2, *shape)).shape == (2, 1)
    pair = Discriminator(shape, 4, latent=6)(torch.randn(2, *shape), torch.randn(2, 6))
    assert pair.shape == (2, 1)
