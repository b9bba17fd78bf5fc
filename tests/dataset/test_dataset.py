"""Datasets are split, measured and written right, and bad files and settings are explained."""

import gzip
import hashlib
import math
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torchvision
import yaml

from support.server import served
from unlabel.data import download, images
from unlabel.data.images import Data, Images
from unlabel.dataset import Dataset, Raw, digits, fashion_mnist, hold_out, moments
from unlabel.dataset.altered import Altered
from unlabel.dataset.digits import Digits
from unlabel.dataset.fashion_mnist import FILES, FashionMNIST
from unlabel.dataset.shapes import Shapes
from unlabel.encoder.resnet_mini import ResNetMini
from unlabel.errors import UserError
from unlabel.features.parquet import Features, Split
from unlabel.probe.factors import Factors
from unlabel.probe.linear import Linear
from unlabel.stage import prepare

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "validation", "test")
LABELS = "t10k-labels-idx1-ubyte.gz"


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


def prepared(folder: Path, raw: Path = Path(), **recipe: object) -> list[tuple[Images, Data]]:
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    paths = [folder / f"{split}.arrow" for split in SPLITS]
    prepare.run(params, raw, *paths)
    return [images.read(path) for path in paths]


def recipe(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "params" / "dataset" / f"{name}.yaml").read_text())


def some(labels: list[int]) -> Images:
    label = torch.tensor(labels)
    return Images.of(torch.arange(len(label)), torch.zeros(len(label), 1, 2, 2).byte(), label)


@pytest.fixture(scope="session")
def fetched(request: pytest.FixtureRequest) -> Path:
    """A folder with Fashion-MNIST's four archives, fetched once and kept in pytest's cache."""
    folder = ROOT / "data" / "raw" / "fashion_mnist"
    if not (folder / LABELS).exists():
        folder = request.config.cache.mkdir("fashion_mnist")
    try:
        FashionMNIST().load(folder)
    except UserError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """No place has the files: a mirror that nobody listens at, and no apt-get."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [url])
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "not installed")
    monkeypatch.setenv("PATH", "")
    return url


# Splits


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


# Mean and deviation


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


# The stage


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
        ({"validation": 0}, r"dataset\.validation is 0, but must lie between 0 and 1"),
        ({"validation": 1}, r"dataset\.validation is 1, but"),
        ({"validation": -0.1}, r"dataset\.validation is -0\.1, but"),
        ({"validation": math.nan}, r"dataset\.validation is nan, but"),
        ({"validation": "some"}, r"dataset\.validation is 'some', but must be a number"),
        ({"validaton": 0.1}, r"did you mean 'validation'\?"),
        ({"scale": 0}, r"dataset\.scale is 0, but must be 1 or more"),
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


# Fashion-MNIST


def test_fashion_mnist_is_prepared_with_the_recipe(fetched: Path, tmp_path: Path) -> None:
    splits = prepared(tmp_path, fetched, **recipe("fashion_mnist"))
    assert [data.size for _, data in splits] == [54_000, 6_000, 10_000]
    ids = torch.cat([split.id for split, _ in splits])
    assert ids.sort().values.tolist() == list(range(70_000))
    for split, data in splits:
        assert split.label.bincount().tolist() == [data.size // 10] * 10
        # The mean and deviation that everyone uses for it.
        assert data.mean == pytest.approx((0.2860,), abs=1e-3)
        assert data.std == pytest.approx((0.3530,), abs=1e-3)
    assert splits[0][1].classes == tuple(torchvision.datasets.FashionMNIST.classes)


def test_images_are_those_torchvision_reads(fetched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(gzip.decompress((fetched / f"{name}.gz").read_bytes()))
    ours = FashionMNIST(root=str(tmp_path)).load(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    for train, split in ((True, ours.train), (False, ours.test)):
        theirs = torchvision.datasets.FashionMNIST(tmp_path, train=train)
        assert torch.equal(split.image[:, 0], theirs.data)
        assert torch.equal(split.label, theirs.targets)


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


def test_files_fetched_for_one_recipe_serve_another(
    fetched: Path, tmp_path: Path, nowhere: str
) -> None:
    (tmp_path / "fashion_mnist").symlink_to(fetched)
    assert len(FashionMNIST().load(tmp_path / "fashion_mnist_rotated").train.id) == 60_000


# Shapes


def small(**settings: int | float) -> Raw:
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 99}, r"dataset\.size is 99, but must be 100 or more"),
        ({"test": 0}, r"dataset\.test is 0, but"),
        ({"noise": -0.1}, r"dataset\.noise is -0\.1, but must not be negative"),
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


def test_checksums_are_of_the_content_of_the_archives_torchvision_expects(fetched: Path) -> None:
    """The first archives carry a name and a time that Debian's lack; the rest is the same."""
    for name, md5 in torchvision.datasets.FashionMNIST.resources:
        archive = (fetched / name).read_bytes()
        if archive[3] == 0:
            time = 1504176606 if name.startswith("train") else 1504176627
            first = b"\x1f\x8b\x08\x08" + time.to_bytes(4, "little") + b"\x00\x03"
            archive = first + name.removesuffix(".gz").encode() + b"\x00" + archive[10:]
        assert hashlib.md5(archive).hexdigest() == md5


def test_mirrors_are_asked_in_turn(
    fetched: Path, tmp_path: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has two files, of which one is cut short, the next has none, the last has all."""
    poor = tmp_path / "poor"
    poor.mkdir()
    names = [f"{name}.gz" for name in FILES]
    (poor / names[0]).write_bytes((fetched / names[0]).read_bytes())
    (poor / names[1]).write_bytes((fetched / names[1]).read_bytes()[:1000])
    raw = tmp_path / "raw"
    with served(poor) as first, served(tmp_path / "none") as second, served(fetched) as third:
        mirrors = [first, nowhere, second, third]
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", mirrors[:3])
        with pytest.raises(UserError, match="its checksum is wrong") as caught:
            FashionMNIST().load(raw)
        assert "HTTP Error 404" in str(caught.value)
        assert [path.name for path in raw.iterdir()] == [names[0]]
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", mirrors)
        FashionMNIST().load(raw)
    assert sorted(path.name for path in raw.iterdir()) == sorted(names)
    assert len(FashionMNIST().load(raw).train.id) == 60_000  # with no mirror any more


def test_a_server_that_never_answers_costs_little(
    tmp_path: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [url])
        with pytest.raises(UserError, match=r"no answer in 0\.2 seconds"):
            FashionMNIST().load(tmp_path)


def test_one_message_says_all_that_was_tried(tmp_path: Path, nowhere: str) -> None:
    with pytest.raises(UserError) as caught:
        FashionMNIST(root=str(tmp_path / "mine")).load(tmp_path / "raw")
    message = str(caught.value)
    for part in (
        str(tmp_path / "mine"),
        f"torchvision's mirror {nowhere}: ",
        "Connection refused",
        "the Debian package dataset-fashion-mnist: there is no apt-get here",
        f"{LABELS} into {tmp_path / 'raw'}",
        "dataset=digits",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (LABELS, gzip.compress(bytes(10_008))),
        (LABELS, gzip.compress(bytes(10_008))[:20]),
        (LABELS, b"<html>sign in first</html>"),
        (LABELS, b""),
        (LABELS.removesuffix(".gz"), bytes(10_008)),
    ],
    ids=["wrong", "truncated", "a page", "empty", "unpacked"],
)
def test_a_damaged_file_is_named_and_left_alone(
    tmp_path: Path, nowhere: str, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"its checksum is wrong.*delete it") as caught:
        FashionMNIST().load(tmp_path)
    assert str(path) in str(caught.value)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(name, content)]


def test_one_flipped_bit_is_noticed(fetched: Path, tmp_path: Path, nowhere: str) -> None:
    archive = bytearray((fetched / LABELS).read_bytes())
    archive[len(archive) // 2] ^= 1
    (tmp_path / LABELS).write_bytes(archive)
    with pytest.raises(UserError, match="its checksum is wrong"):
        FashionMNIST().load(tmp_path)
