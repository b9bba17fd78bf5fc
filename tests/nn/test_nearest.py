"""Nearest neighbours, against comparing all."""

import pytest
import torch

from unlabel.nn.nearest import nearest


@pytest.mark.parametrize(("size", "k"), [(1000, 20), (97, 5), (64, 64), (31, 3), (33, 1), (5, 5)])
def test_nearest_neighbours_are_those_of_comparing_all(size, k):
    draw = torch.Generator().manual_seed(size)
    bank, query = torch.randn(size, 4, generator=draw), torch.randn(9, 4, generator=draw)
    values, index = (query @ bank.T).topk(k)
    found = nearest(query, bank, k)
    assert torch.equal(found[0], values)
    assert torch.equal(found[1], index)
