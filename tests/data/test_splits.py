"""Some images of a split."""

import torch

from unlabel.data.images import Images
from unlabel.data.splits import random_subset


def test_images_without_a_label_come_where_those_with_one_are_too_few(digits):
    known = digits.label[:100].where(torch.arange(100) % 4 == 0, -1)
    images = Images.of(digits.id[:100], digits.image[:100], known)
    assert (random_subset(images, 20).label >= 0).all()
    assert len(set(random_subset(images, 20).label.tolist())) > 3
    assert int((random_subset(images, 60).label >= 0).sum()) == 25
    assert random_subset(images, 100) is random_subset(images, None) is images
