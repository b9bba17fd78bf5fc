"""Images are altered as their factors say."""

from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from support.prepared import prepared, recipe
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.dataset.altered import Altered
from unlabel.dataset.fashion_mnist import FashionMNIST
from unlabel.dataset.shapes import Shapes
from unlabel.errors import UserError
from unlabel.seeds import derive


def test_each_picture_is_turned_as_its_factor_says(fetched: Path, tmp_path: Path) -> None:
    whole = FashionMNIST().load(fetched)
    every = dict(zip(whole.test.id.tolist(), whole.test.image, strict=True))
    splits = prepared(tmp_path, fetched, **recipe("fashion_mnist_rotated"))
    for split, data in splits:
        assert data.factors == {"rotation": ("0", "90", "180", "270")}
        counts = split.factor.flatten().bincount()
        assert (counts - data.size / 4).abs().max() < 4 * data.size**0.5
    test = splits[2][0]
    assert torch.equal(test.label, whole.test.label)
    for row, (id, turns) in enumerate(
        zip(test.id.tolist(), test.factor[:, 0].tolist(), strict=True)
    ):
        assert torch.equal(test.image[row], every[id].rot90(turns, (1, 2)))


def test_each_picture_is_tinted_as_its_factor_says(tmp_path: Path) -> None:
    whole = small(size=600)._replace(factors={})
    bare = whole._replace(train=plain_labels(whole.train), test=plain_labels(whole.test))
    altered = Altered(of=Given(raw=bare), hues=3).load(tmp_path)
    assert altered.factors == {"rotation": ("0", "90", "180", "270"), "hue": ("0", "120", "240")}
    for image, factor, before in zip(
        altered.train.image, altered.train.factor, bare.train.image, strict=True
    ):
        upright = image.rot90(-int(factor[0]), (1, 2)).float()
        if factor[1] == 0:
            assert (upright - before).abs().max() <= 1  # a product with almost the identity
        luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
        inside = ((upright > 0) & (upright < 255)).all(0)  # elsewhere values are cut
        assert ((upright - before) * luma).sum(0)[inside].abs().max() < 2
    assert len({tuple(row) for row in altered.train.factor.tolist()}) == 12
    assert altered.train.factor[:, 1].bincount().min() > 100


def test_the_factors_of_a_prepared_set_are_read_by_their_names(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("cat", "dog"):
        (photos / name).mkdir(parents=True)
        for number in range(30):
            pixels = numpy.random.default_rng(number).integers(0, 256, (8, 8, 3), numpy.uint8)
            Image.fromarray(pixels).save(photos / f"{name}/{number}.png")
    of = recipe("folder") | {"path": str(photos), "size": 8}
    altered = {"_target_": "unlabel.dataset.altered.Altered", "of": of, "hues": 3}
    for split, data in prepared(tmp_path, **altered):
        assert data.factors == {"hue": ("0", "120", "240"), "rotation": ("0", "90", "180", "270")}
        ids = split.id.tolist()
        for name, values, found in zip(data.factors, (3, 4), split.factor.T, strict=True):
            assert found.tolist() == [derive(name, each) % values for each in ids]


@pytest.mark.parametrize(
    ("settings", "shape", "said"), [({"hues": 2}, (1, 8, 8), "grey"), ({}, (3, 8, 9), "square")]
)
def test_what_cannot_be_altered_is_explained(settings, shape, said, tmp_path: Path) -> None:
    some = Images.of(torch.arange(4), torch.zeros(4, *shape, dtype=torch.uint8), torch.zeros(4))
    with pytest.raises(UserError, match=said):
        Altered(of=Given(raw=Raw(some, some, ("a",), "", {})), **settings).load(tmp_path)


@dataclass(frozen=True, kw_only=True)
class Given(Dataset):
    """A dataset that is there."""

    raw: Raw

    def load(self, raw: Path) -> Raw:
        return self.raw


def plain_labels(images: Images) -> Images:
    return Images.of(images.id, images.image, images.label)


def small(**settings: int | float) -> Raw:
    return Shapes(**{"size": 4000, "test": 100, **settings}).load(Path())
