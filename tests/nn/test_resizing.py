"""Products with matrices interpolate as torch does."""

import pytest
import torch
import torch.nn.functional as F

from unlabel.nn.resizing import interpolated


@pytest.mark.parametrize("size", [(7, 5), (3, 9), (16, 16), (5, 4)])
@pytest.mark.parametrize(
    ("mode", "antialias"), [("bilinear", False), ("bilinear", True), ("bicubic", True)]
)
def test_maps_and_their_gradients_are_those_of_interpolation(size, mode, antialias):
    maps = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    found = interpolated(ours, size, mode, antialias)
    expected = F.interpolate(theirs, size, mode=mode, antialias=antialias)
    assert torch.allclose(found, expected, atol=1e-6)
    weight = torch.rand(found.shape, generator=torch.Generator().manual_seed(1))
    for made in (found, expected):
        (made * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
