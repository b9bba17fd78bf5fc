"""A share of the labels is wrong."""

import pytest
import torch

from unlabel.data import labels
from unlabel.errors import UserError


def test_a_share_of_the_labels_is_wrong_and_evenly_so():
    label = torch.tensor([0] * 3000 + [1] * 3000 + [2] * 3000 + [-1] * 50)
    changed = labels.noisy(label, 0.4, 3, 5)
    wrong = changed != label
    assert wrong.sum() == 3600
    assert (changed[-50:] == -1).all()
    for kind in range(3):
        counts = torch.bincount(changed[(label == kind) & wrong], minlength=3).tolist()
        assert counts[kind] == 0
        assert all(500 < n < 700 for n in (*counts[:kind], *counts[kind + 1 :]))
    torch.manual_seed(9)
    assert torch.equal(changed, labels.noisy(label, 0.4, 3, 5))
    assert not torch.equal(changed, labels.noisy(label, 0.4, 3, 6))
    more = labels.noisy(label, 0.6, 3, 5)
    assert torch.equal(more[wrong], changed[wrong])
    assert torch.equal(labels.noisy(label, 0.0, 3, 5), label)
    with pytest.raises(UserError, match=r"label_noise needs two classes"):
        labels.noisy(label * 0, 0.1, 1, 5)
