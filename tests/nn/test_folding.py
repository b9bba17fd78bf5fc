"""Batch norm, folded into convolutions."""

import pytest
import torch
from torch import nn

from support.models import about, assembled, composed
from unlabel.nn.folding import fold_batch_norm


@pytest.mark.parametrize("name", ["resnet_mini", "resnet18", "vit_tiny"])
def test_with_batch_norm_folded_an_encoder_gives_the_same_features(name, digits):
    settings = composed("simclr", f"encoder={name}", budget="quick")
    encoder = assembled(settings, about(digits)).encoder
    x = digits.image[:32] / 255
    with torch.no_grad():
        for _ in range(5):
            encoder(x)  # so that batch norm has statistics to fold
        h, fast = encoder.eval()(x), fold_batch_norm(encoder)
        assert torch.allclose(fast(x), h, atol=1e-4 * h.abs().max().item())
        assert torch.equal(encoder(x), h)  # what was fold_batch_norm is a copy
    if name == "resnet_mini":
        assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
