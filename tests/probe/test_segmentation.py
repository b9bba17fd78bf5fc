"""The linear classifier of feature maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from unlabel.data.images import Data, Images
from unlabel.data.masks import IGNORED, Masks
from unlabel.dataset import moments
from unlabel.dataset.shapes import Shapes
from unlabel.encoder import Encoder
from unlabel.features.split import Features, Split
from unlabel.probe._trained import Trained
from unlabel.probe.segmentation import Segmentation, loss_of, scores


class Pixels(Encoder):
    """Its maps are the pixels, at half the size."""

    dim = 3

    def maps(self, x):
        return torch.nn.functional.avg_pool2d(self.normalise(x), 2)


def trained(images: Images, masks: Masks, hardware) -> Trained:
    facts = ("mine", (3, *images.image.shape[2:]), *moments(images.image), ("a",), 300)
    encoder = Pixels(Data(*facts, "made up", {}))
    splits = [images.take(slice(at, at + 100)) for at in (0, 100, 200)]
    split = Split(torch.arange(1), torch.zeros(1), torch.zeros(1, 0), torch.zeros(1, 3))
    return Trained(encoder, splits, Features(split, split, split, {}, ()), hardware, masks)


def blobs() -> tuple[Images, Masks]:
    """The left or right side of an image has a colour; what is near its middle is ignored."""
    draw = torch.Generator().manual_seed(0)
    mask = torch.zeros(300, 16, 16, dtype=torch.uint8)
    colour = torch.randint(3, (300,), generator=draw)
    mask[:, :, :7] = colour[:, None, None].to(torch.uint8)
    image = torch.full((300, 3, 16, 16), 100, dtype=torch.uint8)
    image[torch.arange(300), colour, :, :7] = 180
    mask[:, :, 6:8] = IGNORED
    ids = torch.arange(300)
    known = Masks(ids.flip(0), mask.flip(0), ("background", "green", "blue"))
    return Images.of(ids, image, torch.zeros(300, dtype=torch.int64)), known


def test_what_pixels_tell_is_found(hardware):
    probe = Segmentation(epochs=12, lr=[1e-1, 1e-7])
    images, masks = blobs()
    # red is the background's class, so that its union has both
    found = probe.measure_encoder(trained(images, masks, hardware), 0)
    assert found["segmentation_miou"] > 0.95
    assert found["segmentation_accuracy"] > 0.97
    assert found["segmentation_lr"] == 1e-1
    assert found == probe.measure_encoder(trained(images, masks, hardware), 0)
    assert set(found) == {metric.name for metric in probe.metrics()}


def test_masks_of_the_test_split_choose_nothing(hardware):
    probe, (images, masks) = Segmentation(epochs=2), blobs()
    first = probe.measure_encoder(trained(images, masks, hardware), 0)
    mask = masks.mask.clone()
    mask[:100] = 2 - mask[:100].clamp(max=2)  # those of the test images come first
    second = probe.measure_encoder(trained(images, masks._replace(mask=mask), hardware), 0)
    kept = [name for name in first if "validation" in name or "lr" in name]
    assert {name: first[name] for name in kept} == {name: second[name] for name in kept}
    assert first["segmentation_miou"] != second["segmentation_miou"]


def test_the_loss_is_the_mean_over_known_pixels_of_enlarged_logits():
    draw = torch.Generator().manual_seed(0)
    logits, mask = torch.randn(3, 4, 5, 2, generator=draw), torch.randint(-1, 4, (3, 8, 6))
    larger = torch.nn.functional.interpolate(logits, (8, 6), mode="bilinear").double()
    known = [
        larger[b, :, y, x].logsumexp(0) - larger[b, mask[b, y, x], y, x]
        for b in range(3)
        for y in range(8)
        for x in range(6)
        if mask[b, y, x] >= 0
    ]
    found = loss_of(logits, mask.where(mask >= 0, -100))
    assert float(found) == pytest.approx(float(torch.stack(known).mean()), rel=1e-5)
    assert loss_of(logits, torch.full_like(mask, -100)) == 0


def test_scores_are_scikit_learns():
    draw = np.random.default_rng(0)
    truth, guess = draw.integers(0, 3, 200), draw.integers(0, 4, 200)
    table = torch.zeros(5, 5, dtype=torch.int64)  # nothing is of the last class
    for pair in zip(truth, guess, strict=True):
        table[pair] += 1
    miou, accuracy = scores(table)
    assert miou == pytest.approx(jaccard_score(truth, guess, average="macro"))
    assert accuracy == pytest.approx((truth == guess).mean())


def test_a_shapes_mask_is_where_it_differs_from_its_background():
    plain = Shapes(size=100, test=100, clutter=0, noise=0.0)
    masks, raw = plain.masks(Path()), plain.load(Path())
    every = masks.of(raw.test.id)
    assert masks.classes[0] == "background"
    for mask, image, label in zip(every, raw.test.image, raw.test.label, strict=True):
        assert set(mask.unique().tolist()) == {0, int(label) + 1}
        shape = mask > 0
        inside, outside = image[:, shape].double(), image[:, ~shape].double()
        assert 0.02 < shape.double().mean() < 0.6
        saturation = [part.amax(0) - part.amin(0) for part in (inside, outside)]
        assert saturation[0].mean() > saturation[1].mean()
    assert masks.id.tolist() == [*raw.train.id.tolist(), *raw.test.id.tolist()]


def test_images_of_which_each_pixel_is_ignored_teach_nothing(hardware):
    # the loss of such a batch is not a number, but its gradient is 0
    images, masks = blobs()
    masks.mask[masks.id < 60] = IGNORED  # in some batches, of all images
    probe = Segmentation(epochs=12, batch=5, lr=[1e-1])
    found = probe.measure_encoder(trained(images, masks, hardware), 0)
    assert found["segmentation_miou"] > 0.9
