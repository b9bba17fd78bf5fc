"""What is held out is stratified, and depends on the seed and ids alone."""

from pathlib import Path

import pytest
import torch

from unlabel.data.images import Images
from unlabel.dataset import hold_out
from unlabel.dataset.digits import Digits
from unlabel.errors import UserError


def some(labels: list[int]) -> Images:
    label = torch.tensor(labels)
    return Images.of(torch.arange(len(label)), torch.zeros(len(label), 1, 2, 2).byte(), label)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_each_class_is_split_exactly_to_rounding(fraction: float) -> None:
    every, same = (Digits().load(Path()).train for _ in range(2))
    kept, held = hold_out(same, fraction, 0)
    sizes = every.label.bincount().tolist()
    assert held.label.bincount().tolist() == [round(fraction * n) for n in sizes]
    assert sorted([*kept.id.tolist(), *held.id.tolist()]) == every.id.tolist()
    assert held.id.tolist() == sorted(held.id.tolist())
    for part in (kept, held):
        assert torch.equal(part.image, every.image[torch.isin(every.id, part.id)])


def test_a_class_of_two_is_on_both_sides() -> None:
    for fraction in (0.01, 0.99):
        kept, held = hold_out(some([0, 0, 1, 1]), fraction, 0)
        assert kept.label.tolist() == held.label.tolist() == [0, 1]


def test_a_class_of_one_cannot_be_split() -> None:
    with pytest.raises(UserError, match="class 1 has one image"):
        hold_out(some([0, 0, 0, 1]), 0.5, 0)


def test_unlabelled_images_are_kept() -> None:
    kept, held = hold_out(some([-1, 0, -1, 0]), 0.5, 0)
    assert kept.label.tolist().count(-1) == 2
    assert held.label.tolist() == [0]


def test_where_no_image_is_labelled_all_are_split() -> None:
    kept, held = hold_out(some([-1] * 10), 0.3, 0)
    assert (len(kept.id), len(held.id)) == (7, 3)
    with pytest.raises(UserError, match="there is one image to train on"):
        hold_out(some([-1]), 0.3, 0)


def test_the_split_depends_on_the_seed_and_ids_alone() -> None:
    every = Digits().load(Path()).train
    torch.manual_seed(1)
    first = hold_out(every, 0.1, 0)[1].id
    torch.manual_seed(2)
    order = torch.randperm(len(every.id))
    assert set(hold_out(every.take(order), 0.1, 0)[1].id.tolist()) == set(first.tolist())
    assert hold_out(every, 0.1, 1)[1].id.tolist() != first.tolist()
    # A larger fraction holds out the same images and more.
    assert set(first.tolist()) < set(hold_out(every, 0.2, 0)[1].id.tolist())
