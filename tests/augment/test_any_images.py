"""Views of any images are images."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from support.properties import explained, few, pictures, recipe
from unlabel.augment import Augment
from unlabel.params.settings import build

shapes = st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40))


@few
@given(
    st.sampled_from(
        [("byol", "augment"), ("byol", "augment_"), ("looc", "augment"), ("dino", "local")]
    ),
    shapes,
    st.integers(1, 5),
)
def test_views_are_images_and_a_draw_makes_one_view(whose, shape, n):
    augment: Augment = build(recipe(whose[0])["method"][whose[1]], "augment")
    x = pictures(n, shape).image / 255
    before = x.clone()
    torch.manual_seed(0)
    draw = augment.draw(x)
    view = explained("square", augment.apply, x, draw)  # others cannot be turned
    if view is None:
        return
    assert torch.equal(x, before)
    assert view.shape[:2] == x.shape[:2]
    assert 0 <= view.min() <= view.max() <= 1
    assert torch.equal(augment.apply(x, draw), view)
    assert all(len(rows) == n for rows in draw.values())
