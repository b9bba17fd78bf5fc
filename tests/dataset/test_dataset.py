"""Datasets are split, measured and written right, and bad files and settings are explained."""

import math
from pathlib import Path

import pytest
import torch

from support.prepared import SPLITS, prepared, recipe
from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.dataset import Raw, digits, moments
from unlabel.dataset.digits import Digits
from unlabel.errors import UserError
from unlabel.stage import prepare


class Partly(Digits):
    """Digits of which the first thousand to train on have no label."""

    def load(self, raw: Path) -> Raw:
        every = super().load(raw)
        label = every.train.label.clone()
        label[:1000] = -1
        return every._replace(train=every.train._replace(label=label))


class Tilted(Digits):
    """Digits with two factors, of which one is not known of each image."""

    def load(self, raw: Path) -> Raw:
        train, test, *rest = super().load(raw)
        known = {"parity": ("even", "odd"), "tilt": ("left", "none", "right")}
        parts = []
        for part in (train, test):
            tilt = torch.where(part.id % 5 == 0, -1, part.id % 3)
            parts.append(part._replace(factor=torch.stack([part.label % 2, tilt], 1)))
        return Raw(*parts, *rest[:3], known)


class Misnamed(Tilted):
    """A factor has more values than names."""

    def load(self, raw: Path) -> Raw:
        return super().load(raw)._replace(factors={"parity": ("even", "odd"), "tilt": ("left",)})


class Nameless(Tilted):
    """Factors that nobody names."""

    def load(self, raw: Path) -> Raw:
        return super().load(raw)._replace(factors={})


def some(labels: list[int]) -> Images:
    label = torch.tensor(labels)
    return Images.of(torch.arange(len(label)), torch.zeros(len(label), 1, 2, 2).byte(), label)


def test_moments_are_those_of_a_plain_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (300, 3, 4, 5), generator=generator).byte()
    image[:, 2] = 7
    mean, std = moments(image)
    for channel in range(3):
        pixels = [value / 255 for value in image[:, channel].flatten().tolist()]
        middle = math.fsum(pixels) / len(pixels)
        spread = math.sqrt(math.fsum((p - middle) ** 2 for p in pixels) / len(pixels))
        assert mean[channel] == pytest.approx(middle, rel=1e-12)
        assert std[channel] == (1.0 if channel == 2 else pytest.approx(spread, rel=1e-12))


def test_digits_are_prepared_with_the_recipe(tmp_path: Path) -> None:
    splits = prepared(tmp_path, **recipe("digits"))
    assert [data.size for _, data in splits] == [1295, 143, 359]
    ids = torch.cat([split.id for split, _ in splits])
    assert ids.sort().values.tolist() == list(range(1797))
    mean, std = moments(splits[0][0].image)
    for split, data in splits:
        assert (data.name, data.shape, len(data.classes)) == ("mine", (1, 16, 16), 10)
        assert split.image.shape == (data.size, 1, 16, 16)
        assert (data.mean, data.std) == (mean, std)
        assert split.image.max() == 255
        assert torch.equal(split.image[..., ::2, ::2], split.image[..., 1::2, 1::2])


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    for folder in (once, again):
        folder.mkdir()
        prepared(folder, **recipe("digits"))
    for split in SPLITS:
        assert (once / f"{split}.arrow").read_bytes() == (again / f"{split}.arrow").read_bytes()


def test_settings_change_the_validation_split_alone(tmp_path: Path) -> None:
    base = prepared(tmp_path, **recipe("digits"))
    other = prepared(tmp_path, **recipe("digits") | {"seed": 1, "validation": 0.3})
    assert base[2][0].id.tolist() == other[2][0].id.tolist()
    assert other[1][1].size == pytest.approx(0.3 * 1438, abs=5)
    large = prepared(tmp_path, **recipe("digits") | {"scale": 4})
    assert large[1][1].shape == (1, 32, 32)
    assert large[1][0].id.tolist() == base[1][0].id.tolist()


def define(monkeypatch: pytest.MonkeyPatch, name: str, kind: type) -> None:
    """As if the module of the digits had defined it."""
    monkeypatch.setattr(kind, "__module__", digits.__name__)
    monkeypatch.setattr(digits, name, kind, raising=False)


def test_unlabelled_images_are_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "Partly", Partly)
    train, validation, test = prepared(tmp_path, _target_="unlabel.dataset.digits.Partly")
    assert (train[0].label == -1).sum() == 1000
    assert (validation[0].label >= 0).all()
    assert (test[0].label >= 0).all()
    assert len(train[0].id) + len(validation[0].id) == 1438


def test_factors_stay_with_their_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "Tilted", Tilted)
    for split, data in prepared(tmp_path, _target_="unlabel.dataset.digits.Tilted"):
        assert data.factors == {"parity": ("even", "odd"), "tilt": ("left", "none", "right")}
        assert torch.equal(split.factor[:, 0], split.label % 2)
        assert torch.equal(split.factor[:, 1], torch.where(split.id % 5 == 0, -1, split.id % 3))
        assert split.factor.dtype == torch.int64
    assert prepared(tmp_path, **recipe("digits"))[0][0].factor.shape == (1295, 0)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Misnamed, "mine has values of tilt in train that it does not name"),
        (Nameless, "mine does not have the factors in train that it names"),
    ],
)
def test_factors_without_a_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, message: str
) -> None:
    define(monkeypatch, "Wrong", kind)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, _target_="unlabel.dataset.digits.Wrong")


def test_an_empty_split_is_written_and_read(tmp_path: Path) -> None:
    data = Data("mine", (1, 2, 2), (0.5,), (1.0,), ("a",), 0, "nowhere", {})
    images.write(tmp_path / "none.arrow", some([0]).take(torch.tensor([], dtype=torch.long)), data)
    empty, about = images.read(tmp_path / "none.arrow")
    assert (empty.image.shape, about) == ((0, 1, 2, 2), data)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float) -> None:
    prepared(tmp_path, **recipe("digits"))
    path = tmp_path / "test.arrow"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(UserError, match=r"test\.arrow is not a whole prepared dataset"):
        images.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation": 0}, r"dataset\.validation is 0, but must be a number above 0 and below 1"),
        ({"validation": 1}, r"dataset\.validation is 1, but"),
        ({"validation": -0.1}, r"dataset\.validation is -0\.1, but"),
        ({"validation": math.nan}, r"dataset\.validation is nan, but"),
        ({"validation": "some"}, r"dataset\.validation is 'some', but must be a number"),
        ({"validaton": 0.1}, r"did you mean 'validation'\?"),
        ({"scale": 0}, r"dataset\.scale is 0, but must be a whole number of at least 1"),
        ({"_target_": "unlabel.dataset.digit.Digits"}, "does not exist"),
    ],
)
def test_wrong_settings_are_explained(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, **recipe("digits") | change)


def test_a_target_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unlabel\.hardware\.Hardware, which is not a dataset"):
        prepared(tmp_path, _target_="unlabel.hardware.Hardware")


@pytest.mark.parametrize("text", ["name: mine", "dataset: {}", "name: mine\ndataset: digits"])
def test_params_without_a_dataset_are_explained(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml needs two settings: `name`"):
        prepare.run(tmp_path / "params.yaml", *([tmp_path] * 4))
