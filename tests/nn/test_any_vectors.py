"""Similarities of any vectors are cosines."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from support.properties import few
from unlabel.nn.losses import cosine_similarities


@few
@given(st.integers(1, 20), st.integers(1, 20), st.floats(1e-30, 1e30), st.integers(0, 99))
def test_similarities_are_cosines_however_long_the_vectors(n, dim, length, seed):
    draw = torch.Generator().manual_seed(seed)
    a = torch.randn(n, dim, generator=draw)
    together = cosine_similarities(a * length, a)
    assert together.abs().max() <= 1 + 1e-5
