"""Any labels: a share is a share of each class."""

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from support.properties import tried
from unlabel.data.images import UNLABELLED
from unlabel.data.labels import noisy, stratified

labels = st.lists(st.integers(UNLABELLED, 5), min_size=1, max_size=60).map(torch.tensor)


@tried
@given(labels, st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 9))
def test_a_share_of_the_labels_is_that_of_each_class(label, fraction, other, seed):
    assume((label != UNLABELLED).any())
    small, large = sorted((fraction, other))
    chosen = stratified(label, large, seed)
    assert set(stratified(label, small, seed).tolist()) <= set(chosen.tolist())
    assert len(chosen.unique()) == len(chosen)
    for kind in label[label != UNLABELLED].unique():
        members = int((label == kind).sum())
        found = int((label[chosen] == kind).sum())
        assert max(1, large * members - 1) <= found <= max(1, large * members + 1)


@tried
@given(labels, st.floats(0, 1), st.integers(0, 9))
def test_noise_makes_just_that_share_wrong(label, share, seed):
    wrong = noisy(label, share, 6, seed) != label
    known = int((label != UNLABELLED).sum())
    assert int(wrong.sum()) == int(share * known + 0.5)
    assert not wrong[label == UNLABELLED].any()
