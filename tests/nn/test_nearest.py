"""Nearest neighbours, against comparing all."""

import pytest
import torch
import torch.nn.functional as F

from unlabel.nn import nearest as searched
from unlabel.nn.nearest import most_similar, nearest, units


@pytest.mark.parametrize(("size", "k"), [(1000, 20), (97, 5), (64, 64), (31, 3), (33, 1), (5, 5)])
def test_nearest_neighbours_are_those_of_comparing_all(size, k):
    draw = torch.Generator().manual_seed(size)
    bank, query = torch.randn(size, 4, generator=draw), torch.randn(9, 4, generator=draw)
    values, index = (query @ bank.T).topk(k)
    found = nearest(query, bank, k)
    assert torch.equal(found[0], values)
    assert torch.equal(found[1], index)


@pytest.mark.parametrize(("chunk", "k"), [(40, 20), (97, 20), (12, 20), (40, 200)])
def test_the_most_similar_of_several_banks_are_those_of_all(chunk, k, monkeypatch):
    monkeypatch.setattr(searched, "CHUNK", chunk)
    draw = torch.Generator().manual_seed(chunk)
    bank, query = torch.randn(97, 4, generator=draw), torch.randn(9, 4, generator=draw)
    cosines = F.normalize(query, dim=1) @ F.normalize(bank, dim=1).T
    values, index = cosines.topk(min(k, 97))
    found = most_similar(query, units(bank), k, block=4)
    assert torch.allclose(found[0], values)
    assert torch.equal(found[1], index)
