"""Fractions of the labels."""

from itertools import pairwise

import pytest
import torch

from unlabel.data.labels import stratified
from unlabel.errors import UserError


def test_fractions_are_stratified_nested_and_of_the_seed_alone():
    label = torch.tensor([0] * 700 + [1] * 205 + [2] * 3 + [-1] * 50)
    label = label[torch.randperm(len(label), generator=torch.Generator().manual_seed(0))]
    index = stratified(label, 0.1, 3)
    assert torch.bincount(label[index]).tolist() == [70, 21, 1]
    torch.manual_seed(99)
    assert torch.equal(index, stratified(label, 0.1, 3))
    assert not torch.equal(index, stratified(label, 0.1, 4))
    shares = [set(stratified(label, share, 3).tolist()) for share in (0.01, 0.1, 0.5, 1.0)]
    assert all(small < large for small, large in pairwise(shares))
    assert len(shares[-1]) == 908


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5])
def test_a_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(UserError, match=r"above 0 and at most 1"):
        stratified(torch.zeros(3, dtype=torch.int64), fraction, 0)
