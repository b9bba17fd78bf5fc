"""A batch of digits."""

import pytest
import torch

from unlabel.method import Batch


@pytest.fixture
def batch(digits):
    index = torch.arange(32)
    return Batch(digits.image[index] / 255, digits.label[index], index, 0.5)
