"""Some images of a split."""

import torch

from unlabel.data.images import Images
from unlabel.data.splits import random_subset, subset_of_each_class


def test_images_without_a_label_come_where_those_with_one_are_too_few(digits):
    known = digits.label[:100].where(torch.arange(100) % 4 == 0, -1)
    images = Images.of(digits.id[:100], digits.image[:100], known)
    assert (random_subset(images, 20).label >= 0).all()
    assert len(set(random_subset(images, 20).label.tolist())) > 3
    assert int((random_subset(images, 60).label >= 0).sum()) == 25
    assert random_subset(images, 100) is random_subset(images, None) is images


def test_a_subset_of_each_class_has_the_rare_ones_too(digits):
    label = torch.zeros(100, dtype=torch.int64)
    label[[10, 20, 30]] = -1
    label[[40, 60]], label[50] = 2, 1  # rare, and by chance not among five
    images = Images.of(digits.id[:100], digits.image[:100], label)
    plain, found = random_subset(images, 5), subset_of_each_class(images, 5)
    assert set(plain.label.tolist()) == {0}
    assert found.id.tolist() == sorted([*plain.id.tolist(), *images.id[[40, 50]].tolist()])
    assert found.label.tolist() == [label[images.id == each].item() for each in found.id]


def test_a_subset_that_has_each_class_is_the_plain_one(digits):
    for number in (300, 1000, None):
        plain, found = random_subset(digits, number), subset_of_each_class(digits, number)
        assert len(plain.label.unique()) == 10
        assert torch.equal(found.id, plain.id)
