"""Shapes are drawn as their factors say."""

from pathlib import Path

import pytest
import torch

from support.prepared import prepared, recipe
from unlabel.data.images import Data
from unlabel.dataset import Raw, moments
from unlabel.dataset.shapes import Shapes
from unlabel.encoder.resnet_mini import ResNetMini
from unlabel.errors import UserError
from unlabel.features.split import Features, Split
from unlabel.probe.factors import Factors
from unlabel.probe.linear import Linear


def small(**settings: object) -> Raw:
    return Shapes(**{"size": 4000, "test": 100, **settings}).load(Path())


@pytest.fixture(scope="module")
def plain() -> Raw:
    return small(clutter=0, noise=0.0)


def test_shapes_depend_on_the_seed_and_fewer_are_the_first_of_more(plain: Raw) -> None:
    torch.manual_seed(1)
    fewer = small(size=1500, test=1100, clutter=0, noise=0.0)
    for name in ("id", "image", "label", "factor"):
        assert torch.equal(getattr(fewer.train, name), getattr(plain.train, name)[:1500])
        assert torch.equal(getattr(fewer.test, name)[:100], getattr(plain.test, name))
    assert fewer.sha256 != plain.sha256
    assert not torch.equal(fewer.train.image[:1100], fewer.test.image)
    other = small(size=100, seed=1)
    assert not torch.equal(other.train.image, small(size=100).train.image)
    assert not torch.equal(other.train.factor, plain.train.factor[:100])


def test_kind_and_factors_are_even_and_independent(plain: Raw) -> None:
    from scipy.stats import chi2_contingency

    columns = [plain.train.label, *plain.train.factor.unbind(1)]
    sizes = [len(plain.classes), *map(len, plain.factors.values())]
    for a, (first, n) in enumerate(zip(columns, sizes, strict=True)):
        assert first.bincount(minlength=n).min() > 0.85 * 4000 / n
        for second, m in zip(columns[:a], sizes[:a], strict=True):
            table = (first * m + second).bincount(minlength=n * m).view(n, m)
            assert chi2_contingency(table.numpy()).pvalue > 1e-3


def test_factors_are_what_the_pictures_show(plain: Raw) -> None:
    image, factor = (
        plain.train.image / 255,
        dict(zip(plain.factors, plain.train.factor.T, strict=True)),
    )

    def mean(name: str, value: str, x: torch.Tensor = image) -> torch.Tensor:
        return x[factor[name] == plain.factors[name].index(value)].mean(0)

    for value, pure in {"red": "100", "green": "010", "blue": "001", "yellow": "110"}.items():
        apart = mean("hue", value).mean((1, 2)) - image.mean((0, 2, 3))
        assert "".join("1" if each > 0 else "0" for each in apart) == pure
    for value in plain.factors["position"]:
        half = mean("position", value).mean(0)
        quarters = {
            "top left": half[:16, :16], "top right": half[:16, 16:],
            "bottom left": half[16:, :16], "bottom right": half[16:, 16:],
        }  # fmt: skip
        assert max(quarters, key=lambda name: float(quarters[name].mean())) == value
    sizes = [float(mean("size", value).mean()) for value in plain.factors["size"]]
    assert sizes == sorted(sizes)
    rough = image.diff(dim=3).abs().mean((1, 2, 3))
    textures = [float(mean("texture", value, rough)) for value in plain.factors["texture"]]
    assert min(textures[1:]) > 1.2 * textures[0]
    # Turned back by the angle of its name, the mean image of each orientation is that of "up".
    upright = mean("orientation", "up") - image.mean(0)
    for turns, value in enumerate(plain.factors["orientation"]):
        turned = mean("orientation", value) - image.mean(0)
        likeness = [float((turned.rot90(-k, (1, 2)) * upright).sum()) for k in range(4)]
        assert likeness.index(max(likeness)) == turns


def test_an_untrained_encoder_tells_something_of_each_factor_and_not_all() -> None:
    raw = small(test=2000)
    shape, moment = (3, 32, 32), moments(raw.train.image)
    data = Data("shapes", shape, *moment, raw.classes, 4000, raw.source, raw.sha256, raw.factors)
    torch.manual_seed(0)
    encoder = ResNetMini(data, width=16).eval()
    with torch.no_grad():
        parts = [
            Split(
                part.id,
                part.label,
                part.factor,
                torch.cat([encoder(x / 255) for x in part.image.split(500)]),
            )
            for part in (raw.train, raw.test)
        ]
    features = Features(*parts, parts[1], {}, raw.classes, raw.factors)
    measures = Factors().measure(features, 0) | Linear().measure(features, 0)
    known = {f"linear_{name}": values for name, values in raw.factors.items()}
    for name, values in {"linear": raw.classes, **known}.items():
        assert 1.15 / len(values) < measures[name] < 0.85, name


def test_factors_may_make_the_class(plain: Raw) -> None:
    combined = small(clutter=0, noise=0.0, classes=["hue", "position"])
    assert len(combined.classes) == 24
    assert combined.classes[5] == "yellow top right"
    hue, position = plain.train.factor[:, 0], plain.train.factor[:, 2]
    assert torch.equal(combined.train.label, hue * 4 + position)
    assert torch.equal(combined.train.image, plain.train.image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["hue", "sise"]}, r"dataset\.classes names 'sise'; did you mean 'size'"),
        ({"size": 99}, r"dataset\.size is 99, but must be a whole number of at least 100"),
        ({"test": 0}, r"dataset\.test is 0, but"),
        ({"noise": -0.1}, r"dataset\.noise is -0\.1, but must be a number of at least 0"),
    ],
)
def test_wrong_shapes_are_explained(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, **recipe("shapes") | change)


def test_shapes_are_prepared_with_the_recipe(tmp_path: Path) -> None:
    splits = prepared(tmp_path, **recipe("shapes") | {"size": 1000, "test": 200})
    assert [data.size for _, data in splits] == pytest.approx([900, 100, 200], abs=4)
    for split, data in splits:
        assert (data.shape, len(data.classes), len(data.factors)) == ((3, 32, 32), 8, 5)
        assert split.factor.shape == (data.size, 5)
        assert set(split.label.tolist()) == set(range(8))
