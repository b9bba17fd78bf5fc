"""Each measure against its paper's equation, written as plain loops; and what no measure may do."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from support.models import PARAMS, about, assembled, composed
from unlabel import encoder, weights
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.data.labels import stratified
from unlabel.data.splits import random_subset
from unlabel.errors import UserError
from unlabel.features import parquet
from unlabel.features.parquet import Features, Split, Views
from unlabel.nn.nearest import nearest
from unlabel.params import compose
from unlabel.params.settings import build
from unlabel.probe import finetune, linear
from unlabel.probe.factors import Factors
from unlabel.probe.invariance import Invariance
from unlabel.probe.knn import KNN, vote
from unlabel.probe.linear import Linear
from unlabel.probe.lowshot import LowShot
from unlabel.probe.projection import Projection
from unlabel.probe.spectrum import Spectrum

SIZES = {"train": 400, "validation": 150, "test": 100}
CLASSES = ("boot", "coat", "dress", "shirt")
FACTORS = {"hue": ("red", "green"), "size": ("small", "middling", "large")}
H = torch.randn(20, 6, generator=torch.Generator().manual_seed(5))
VIEWS = {"all": Views(torch.arange(20), H, H), "flip": Views(torch.arange(20), H, -H)}


def projection(images: int) -> Projection:
    return Projection(images, [1e-2, 1e-3, 1e-4, 1e-5, 1e-6], 1e-5, Factors(images=99))


PROJECTION = projection(1000)


def split(size: int, start: int, projector: bool = True) -> Split:
    """Four overlapping clouds in six dimensions; every ninth image is unlabelled.

    The first factor shows in the first dimension, the second nowhere; some values are unknown.
    """
    draw = torch.Generator().manual_seed(start)
    label = torch.arange(size) % 4
    centre = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)) * 0.7
    h = centre[label] + torch.randn(size, 6, generator=draw) + 3
    factor = torch.stack([(h[:, 0] > h[:, 0].median()).long(), torch.arange(size) // 4 % 3], 1)
    factor[::7, 0], factor[::5, 1] = -1, -1
    label = label.where(torch.arange(size) % 9 != 8, -1)
    z = torch.tanh(h[:, :3] - 3) if projector else None
    scaled = h * torch.logspace(-2, 2, 6)
    return Split(torch.arange(start, start + size), label, factor, scaled, z)


def clouds(projector: bool = True) -> Features:
    starts = np.cumsum([0, *SIZES.values()]).tolist()
    parts = [
        split(size, start, projector) for size, start in zip(SIZES.values(), starts, strict=False)
    ]
    return Features(*parts, VIEWS, CLASSES, FACTORS)


def save(folder: Path, measured: Features, classes: tuple[str, ...] = CLASSES) -> tuple[Path, Path]:
    paths = (folder / "features.parquet", folder / "views.parquet")
    parts = [
        (name, Split(*(None if each is None else each[rows] for each in getattr(measured, name))))
        for name in SIZES
        for rows in torch.arange(len(getattr(measured, name).id)).split(64)
    ]
    parquet.write(paths[0], parts, classes, measured.factors)
    parquet.write_views(paths[1], measured.views.items(), list(measured.views))
    return paths


# The measures' equations


def test_knn_weights_votes_as_section_3_4_of_instance_discrimination():
    draw = torch.Generator().manual_seed(0)
    bank, query = torch.randn(90, 5, generator=draw), torch.randn(40, 5, generator=draw)
    label = torch.randint(4, (90,), generator=draw)
    expected = []
    for q in query.tolist():
        similarity = []
        for b in bank.tolist():
            dot = sum(x * y for x, y in zip(q, b, strict=True))
            similarity.append(dot / math.hypot(*q) / math.hypot(*b))
        order = sorted(range(90), key=lambda i: -similarity[i])
        votes = [0.0] * 4
        for i in order[:7]:
            votes[int(label[i])] += math.exp(similarity[i] / 0.07)
        expected.append(votes.index(max(votes)))
    assert vote(bank, label, query, 7, 0.07).tolist() == expected


@pytest.mark.parametrize(("size", "k"), [(1000, 20), (97, 5), (64, 64), (31, 3), (33, 1), (5, 5)])
def test_nearest_neighbours_are_those_of_comparing_all(size, k):
    draw = torch.Generator().manual_seed(size)
    bank, query = torch.randn(size, 4, generator=draw), torch.randn(9, 4, generator=draw)
    values, index = (query @ bank.T).topk(k)
    found = nearest(query, bank, k)
    assert torch.equal(found[0], values)
    assert torch.equal(found[1], index)


def test_the_loss_is_the_mean_cross_entropy_and_the_decay():
    draw = torch.Generator().manual_seed(0)
    x, label = torch.randn(4, 30, generator=draw).double(), torch.randint(3, (30,), generator=draw)
    x[-1] = 1
    weight = torch.randn(3, 4, generator=draw).double()
    expected = 0.0
    for n in range(30):
        logits = [sum(float(weight[c, d] * x[d, n]) for d in range(4)) for c in range(3)]
        expected -= logits[label[n]] - math.log(sum(map(math.exp, logits)))
    decay = sum(float(weight[c, d]) ** 2 for c in range(3) for d in range(3))
    sums = linear.class_sums(x, label, 3)
    value, gradient = linear.loss(weight, x, sums, 0.3)
    assert math.isclose(value, expected / 30 + 0.15 * decay, rel_tol=1e-9)
    weight.requires_grad_()
    penalty = 0.15 * weight[:, :-1].square().sum()
    (torch.nn.functional.cross_entropy((weight @ x).T, label) + penalty).backward()
    assert torch.allclose(gradient, weight.grad)


def test_the_linear_classifier_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train, test = clouds().train.labelled(), clouds().test
    x = train.h.double()
    turned = linear.axes(x)
    sums = linear.class_sums(turned(x), train.label, 4)
    weight = linear.fit(turned(x), sums, 1e-3, torch.zeros_like(sums), tolerance=1e-12)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=1 / (1e-3 * len(x)), tol=1e-8, max_iter=1000)
    theirs.fit(scaler.transform(x), train.label)
    expected = theirs.predict_proba(scaler.transform(test.h.double()))
    ours = (weight @ turned(test.h.double())).softmax(0).T
    assert np.abs(ours.numpy() - expected).max() < 1e-4
    w, b = turned.undo(weight)
    assert torch.allclose((test.h.double() @ w.T + b).softmax(1), ours)


def test_the_minimum_is_found_and_where_there_is_none_the_search_ends():
    curved = torch.tensor([1.0, 10.0, 1000.0]).double()
    centre = torch.tensor([3.0, -2.0, 0.5]).double()

    def bowl(x):
        return (curved * (x - centre) ** 2).sum().item(), 2 * curved * (x - centre)

    found = linear.minimum(bowl, torch.zeros(3).double(), 1e-14)
    assert torch.allclose(found, centre, atol=1e-6)
    start = torch.ones(3)
    nowhere = linear.minimum(lambda x: (math.nan, x * math.nan), start, 1e-5)
    assert torch.equal(nowhere, start)


def test_axes_standardise_and_a_constant_feature_stays_zero():
    x = clouds().train.h
    x[:, 2] = 7
    out = linear.axes(x)(x)
    covariance = out[:-1] @ out[:-1].T / len(x)
    assert torch.allclose(covariance, covariance.diagonal().diag(), atol=1e-4)
    assert math.isclose(covariance.trace(), 5, rel_tol=1e-4)  # one for each feature that varies
    assert torch.equal(out[-1], torch.ones(len(x)))


def test_spectrum_is_of_the_validation_split():
    measured = clouds()
    measures = Spectrum(images=100, pairs=50).measure(measured, 0)
    x = measured.validation.h[:100]
    values = np.linalg.svd(x.double().numpy(), compute_uv=False)
    share = [value / sum(values) + 1e-7 for value in values]
    rank = math.exp(-sum(p * math.log(p) for p in share))
    assert math.isclose(measures["effective_rank"], rank, rel_tol=1e-4)
    unit = [[value / math.hypot(*row) for value in row] for row in x[:50].tolist()]
    pairs = [math.dist(unit[i], unit[j]) for i in range(50) for j in range(i)]
    expected = math.log(sum(math.exp(-2 * d * d) for d in pairs) / len(pairs))
    assert math.isclose(measures["uniformity"], expected, rel_tol=1e-4)
    assert measures["alignment"] == 0  # the two views are one
    assert {"effective_rank_z", "deviation", "deviation_z", "uniformity_z"} < measures.keys()
    assert "deviation_z" not in Spectrum().measure(clouds(projector=False), 0)


def test_factors_are_told_from_those_that_do_not_show():
    measures = Factors(images=300).measure(clouds(), 0)
    assert {"linear_hue", "validation_linear_hue", "linear_size"} < measures.keys()
    assert measures["linear_hue"] > 0.9
    assert measures["linear_size"] < 0.5  # chance is 1 / 3
    assert Factors().measure(replace(clouds(), factors={}), 0) == {}
    unknown = clouds().test
    unknown.factor[:, 0] = -1
    assert "linear_hue" not in Factors().measure(replace(clouds(), test=unknown), 0)
    few = [Factors(images=20).measure(clouds(), seed) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    assert few[0]["linear_hue"] < measures["linear_hue"]


def test_the_projection_is_measured_as_the_representation_is():
    measured = clouds()
    parts = [
        each._replace(h=each.z) for each in (measured.train, measured.validation, measured.test)
    ]
    as_h = replace(measured, train=parts[0], validation=parts[1], test=parts[2])
    expected = {
        "linear_h": Linear().measure(measured, 3)["linear"],
        "linear_z": Linear().measure(as_h, 3)["linear"],
        "validation_linear_z": Linear().measure(as_h, 3)["validation_linear"],
        "linear_z_hue": Factors(images=99).measure(as_h, 3)["linear_hue"],
        "validation_linear_z_size": Factors(images=99).measure(as_h, 3)["validation_linear_size"],
    }
    measures = PROJECTION.measure(measured, 3)
    assert {name: round(measures[name], 2) for name in expected} == {
        name: round(value, 2) for name, value in expected.items()
    }
    assert PROJECTION.measure(clouds(projector=False), 3) == {}


def test_a_share_of_the_labels_is_of_all_there_are_not_of_those_with_features():
    everything = clouds()
    known = int((everything.train.label >= 0).sum())
    half = replace(everything, labels=2 * known)  # `train` has half the images with a label
    expected = LowShot([0.2]).measure(everything, 0)
    assert LowShot([0.1]).measure(half, 0) == {
        name.replace("20", "10"): value for name, value in expected.items()
    }
    with pytest.raises(UserError, match="set features.images to more, to null for all, or give a"):
        LowShot([0.6]).measure(half, 0)


def test_the_projection_is_compared_on_some_images():
    few = [projection(30).measure(clouds(), seed)["linear_h"] for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    assert few[0] < PROJECTION.measure(clouds(), 0)["linear_h"]


def test_invariance_is_the_mean_cosine_without_what_all_have_in_common():
    measured = clouds()
    draw = torch.Generator().manual_seed(3)
    h, h_, z = (torch.randn(7, 4, generator=draw) + 5 for _ in range(3))
    views = {"all": Views(torch.arange(7), h, h_, z, z), "blur": Views(torch.arange(7), h, h_)}
    measures = Invariance().measure(replace(measured, views=views), 0)
    mean = [sum(float(x) for x in column) / 7 for column in h.T]

    def cosine(a, b):
        a, b = ([float(x) - m for x, m in zip(each, mean, strict=True)] for each in (a, b))
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    positive = sum(cosine(h[i], h_[i]) for i in range(7)) / 7
    negative = [cosine(h[i], h_[j]) for i in range(7) for j in range(7) if i != j]
    assert math.isclose(measures["similarity_blur"], positive, rel_tol=1e-4)
    assert math.isclose(measures["positive_similarity"], positive, rel_tol=1e-4)
    assert math.isclose(measures["negative_similarity"], np.mean(negative), rel_tol=1e-4)
    margin = positive - np.mean(negative)
    assert math.isclose(measures["margin"], margin, rel_tol=1e-4)
    assert math.isclose(measures["margin_ratio"], margin / np.std(negative, ddof=1), rel_tol=1e-4)
    assert math.isclose(measures["positive_similarity_z"], 1, rel_tol=1e-5)
    assert "margin_z" in measures
    assert "similarity_blur_z" not in measures


def test_unrelated_images_are_not_alike_and_a_common_offset_earns_nothing():
    draw = torch.Generator().manual_seed(0)
    h, h_ = torch.randn(500, 8, generator=draw) + 100, torch.randn(500, 8, generator=draw) + 100
    for second, expected in ((h_, 0), (h, 1), (200 - h, -1)):
        views = {"all": Views(torch.arange(500), h, second)}
        measures = Invariance().measure(replace(clouds(), views=views), 0)
        assert abs(measures["positive_similarity"] - expected) < 0.1
        assert abs(measures["negative_similarity"]) < 0.01
    flat = {"all": Views(torch.arange(9), *torch.full((2, 9, 8), 0.1))}
    measures = Invariance().measure(replace(clouds(), views=flat), 0)
    assert set(measures.values()) == {0.0}


# Fractions of the labels


def test_fractions_are_stratified_nested_and_of_the_seed_alone():
    label = torch.tensor([0] * 700 + [1] * 205 + [2] * 3 + [-1] * 50)
    label = label[torch.randperm(len(label), generator=torch.Generator().manual_seed(0))]
    index = stratified(label, 0.1, 3)
    assert torch.bincount(label[index]).tolist() == [70, 21, 1]
    torch.manual_seed(99)
    assert torch.equal(index, stratified(label, 0.1, 3))
    assert not torch.equal(index, stratified(label, 0.1, 4))
    shares = [set(stratified(label, share, 3).tolist()) for share in (0.01, 0.1, 0.5, 1.0)]
    assert all(small < large for small, large in pairwise(shares))
    assert len(shares[-1]) == 908


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5])
def test_a_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(UserError, match=r"above 0 and at most 1"):
        stratified(torch.zeros(3, dtype=torch.int64), fraction, 0)


# What is measured


def test_probes_find_the_classes():
    measures = KNN(k=20).measure(clouds(), 0) | Linear().measure(clouds(), 0)
    measures |= LowShot(fractions=[0.1, 0.5]).measure(clouds(), 0)
    measures |= PROJECTION.measure(replace(clouds(), factors={}), 0)
    accuracies = {k: v for k, v in measures.items() if "l2" not in k and "std" not in k}
    assert min(accuracies.values()) > 0.4  # chance is 0.25
    assert {"knn", "validation_knn", "linear", "linear_z", "linear_l2"} < measures.keys()
    assert {"validation_linear", "lowshot_10", "validation_lowshot_50", "lowshot_10_std"} < (
        measures.keys()
    )
    assert LowShot(draws=1).measure(clouds(), 0)["lowshot_1_std"] == 0


def test_lowshot_draws_by_the_seed():
    few = LowShot(fractions=[0.1], draws=2, l2=[1e-2])
    first, again, other = (few.measure(clouds(), seed) for seed in (0, 0, 1))
    assert first == again != other


def collapsed() -> Features:
    """Features that say nothing."""
    parts = [getattr(clouds(), name) for name in SIZES]
    parts = [part._replace(h=torch.ones_like(part.h), z=None) for part in parts]
    return Features(*parts, VIEWS, CLASSES, FACTORS)


def test_a_collapsed_encoder_is_measured_too():
    probes = (KNN(), Linear(), LowShot(), Spectrum(), Factors(), Invariance(), PROJECTION)
    for probe in probes:
        measures = probe.measure(collapsed(), 0)
        assert all(math.isfinite(value) for value in measures.values())
    assert Linear().measure(collapsed(), 0)["linear"] < 0.4


@pytest.mark.parametrize("probe", [Linear(), LowShot(), KNN(), Factors(), PROJECTION])
def test_test_labels_only_count_right_answers(probe, monkeypatch):
    fitted, kept = linear.fit, []
    monkeypatch.setattr(linear, "fit", lambda *a: kept.append(fitted(*a)) or kept[-1])
    measured = clouds()
    first, number = probe.measure(measured, 0), len(kept)
    labels = {"label": measured.test.label.roll(1), "factor": measured.test.factor.roll(1, 0)}
    permuted = measured.test._replace(**labels)
    second = probe.measure(replace(measured, test=permuted), 0)
    assert all(torch.equal(a, b) for a, b in zip(kept[:number], kept[number:], strict=True))
    chosen = [name for name in first if "validation" in name or "l2" in name]
    assert chosen
    assert all(first[name] == second[name] for name in chosen)
    assert first != second


# The features file


def test_features_come_back_as_they_were_written(tmp_path):
    measured = clouds()
    back = parquet.read(*save(tmp_path, measured))
    for name in SIZES:
        for there, here in zip(getattr(back, name), getattr(measured, name), strict=True):
            assert torch.equal(there, here)
    assert back.views.keys() == measured.views.keys()
    for name, views in measured.views.items():
        for there, here in zip(back.views[name], views, strict=True):
            assert there is here is None or torch.equal(there, here)
    assert (back.classes, back.factors) == (CLASSES, FACTORS)
    table = pq.read_table(tmp_path / "features.parquet")
    assert table.schema.field("h").type == pa.list_(pa.float32(), 6)
    assert table["label"].null_count == sum(size // 9 for size in SIZES.values())
    assert table["factor_hue"].null_count == sum(math.ceil(size / 7) for size in SIZES.values())
    assert set(table["split"].to_pylist()) == set(SIZES)


def test_features_in_several_row_groups_and_without_z(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP", 10_000)
    measured = clouds(projector=False)
    back = parquet.read(*save(tmp_path, measured))
    assert pq.ParquetFile(tmp_path / "features.parquet").num_row_groups > 3
    assert torch.equal(back.test.h, measured.test.h)
    assert back.test.z is None


def test_equal_features_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, clouds())
    for file in ("features.parquet", "views.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def spoiled(fault: str) -> tuple[Features, tuple[str, ...]]:
    """Features with one fault, and the names of their classes."""
    measured, classes = clouds(), CLASSES
    train, test = measured.train, measured.test
    if fault == "not all finite":
        test.h[3, 2] = torch.nan
    elif fault == "image twice":
        test.id[0] = train.id[0]
    elif fault == "none in 'test'":
        test = test._replace(label=torch.full_like(test.label, -1))
    elif fault == "class 'shirt'":
        train = train._replace(label=train.label.where(train.label != 3, 0))
    elif fault == "names 3 classes":
        classes = CLASSES[:3]
    return replace(measured, train=train, test=test), classes


FAULTS = ["not all finite", "image twice", "none in 'test'", "class 'shirt'", "names 3 classes"]


@pytest.mark.parametrize("fault", FAULTS)
def test_features_that_cannot_be_measured_are_refused(tmp_path, fault):
    with pytest.raises(UserError, match=fault) as refused:
        parquet.read(*save(tmp_path, *spoiled(fault)))
    assert "\n" not in str(refused.value)


def test_files_that_are_no_features_are_refused(tmp_path):
    paths = save(tmp_path, clouds())
    with pytest.raises(UserError, match="does not exist: extract"):
        parquet.read(tmp_path / "none.parquet", paths[1])
    with pytest.raises(UserError, match="no column"):
        parquet.read(paths[1], paths[1])
    with pytest.raises(UserError, match="no column"):
        parquet.read(paths[0], paths[0])
    table = pq.read_table(paths[0])
    pq.write_table(table.slice(0, 400), tmp_path / "short.parquet")
    with pytest.raises(UserError, match="no image of the split 'validation'"):
        parquet.read(tmp_path / "short.parquet", paths[1])
    pq.write_table(table.take(list(range(649, -1, -1))), tmp_path / "back.parquet")
    with pytest.raises(UserError, match="splits in order"):
        parquet.read(tmp_path / "back.parquet", paths[1])
    pq.ParquetWriter(tmp_path / "empty.parquet", table.schema).close()
    with pytest.raises(UserError, match="no rows"):
        parquet.read(tmp_path / "empty.parquet", paths[1])
    others = ("all", Views(torch.arange(2), *torch.ones(2, 2, 5)))
    parquet.write_views(tmp_path / "other.parquet", [others], ["all"])
    with pytest.raises(UserError, match="from one encoder"):
        parquet.read(paths[0], tmp_path / "other.parquet")
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    with pytest.raises(UserError, match="not a whole features file"):
        parquet.read(*paths)


# The stages


@pytest.fixture
def trained(digits, tmp_path):
    """A run of SimCLR as `pretrain` leaves it, with weights nobody has trained, and its dataset."""
    bounds = {"train": (0, 300), "validation": (300, 400), "test": (400, 500)}
    for name, (start, end) in bounds.items():
        part = Images(*(each[start:end] for each in digits))
        images.write(tmp_path / f"{name}.arrow", part, about(digits))
    settings = composed("simclr")
    method = assembled(settings, about(digits))
    encoder.save(tmp_path / "encoder.safetensors", method.encoder, settings["encoder"])
    rest = {k: v for k, v in weights.of(method).items() if not k.startswith("encoder.")}
    weights.write(tmp_path / "method.safetensors", rest, {"method": settings["method"]})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def flags(folder: Path, **files: str) -> list[str]:
    given = {"params": "params.yaml"} | files
    return [part for name, file in given.items() for part in (f"--{name}", str(folder / file))]


SPLITS = {name: f"{name}.arrow" for name in SIZES}
RUN = {"encoder": "encoder.safetensors", "method": "method.safetensors"}
FEATURES = {"features": "features.parquet", "views": "views.parquet"}


def extracted(folder: Path, out: str = "features.parquet", views: str = "views.parquet") -> Path:
    main(["features", *flags(folder, **RUN, **SPLITS, out=out, views=views)])
    return folder / out


def test_features_are_the_encoders_and_the_projectors(trained, digits, hardware):
    extracted(trained)
    measured = parquet.read(trained / "features.parquet", trained / "views.parquet")
    method = assembled(composed("simclr"), about(digits)).eval()
    with torch.no_grad(), build(composed("simclr")["hardware"]).resolve().autocast():
        h = method.encoder(hardware.pixels(digits.image[400:]))
        z = method.embed(h)
    assert torch.allclose(measured.test.h, h.float(), atol=1e-2)
    assert torch.allclose(measured.test.z, z.float(), atol=1e-2)
    assert measured.test.id.tolist() == digits.id[400:].tolist()
    alone = {"crop", "flip", "jitter", "grey", "blur", "rotate"}
    assert measured.views.keys() == {"all"} | alone
    for name, views in measured.views.items():
        assert views.id.tolist() == digits.id[300:364].tolist()
        assert views.h.shape == views.h_.shape == (64, method.encoder.dim)
        assert torch.equal(views.h, views.h_) == (name == "grey")  # as digits are
        assert torch.equal(views.h, measured.validation.h[:64]) == (name != "all")
    with torch.no_grad(), build(composed("simclr")["hardware"]).resolve().autocast():
        flipped = method.encoder(hardware.pixels(digits.image[300:364].flip(3)))
        assert torch.allclose(measured.views["flip"].h_, flipped.float(), atol=1e-2)
        z_ = method.embed(measured.views["flip"].h_).float()
    assert torch.allclose(measured.views["flip"].z_, z_, atol=2e-2)


def test_the_probes_may_have_some_training_images_only(trained):
    extracted(trained)
    settings = yaml.safe_load((trained / "params.yaml").read_text())
    settings["features"]["images"] = 80
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    paths = extracted(trained, "some.parquet"), trained / "views.parquet"
    some, everything = parquet.read(*paths), parquet.read(trained / "features.parquet", paths[1])
    assert some.labels == everything.labels == 300
    assert len(set(some.train.id.tolist())) == 80
    place = {id: row for row, id in enumerate(everything.train.id.tolist())}
    rows = [place[id] for id in some.train.id.tolist()]
    assert torch.allclose(some.train.h, everything.train.h[rows], atol=1e-2)
    assert torch.equal(some.train.label, everything.train.label[rows])
    assert torch.equal(some.test.id, everything.test.id)
    assert paths[0].read_bytes() == extracted(trained, "again.parquet").read_bytes()


def test_images_without_a_label_come_where_those_with_one_are_too_few(digits):
    known = digits.label[:100].where(torch.arange(100) % 4 == 0, -1)
    images = Images.of(digits.id[:100], digits.image[:100], known)
    assert (random_subset(images, 20).label >= 0).all()
    assert len(set(random_subset(images, 20).label.tolist())) > 3
    assert int((random_subset(images, 60).label >= 0).sum()) == 25
    assert random_subset(images, 100) is random_subset(images, None) is images


def test_the_same_features_twice(trained):
    first = extracted(trained).read_bytes(), (trained / "views.parquet").read_bytes()
    again = extracted(trained, "again.parquet", "views_again.parquet")
    assert first == (again.read_bytes(), (trained / "views_again.parquet").read_bytes())


def refused(arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return str(ended.value)


def test_files_of_another_method_or_dataset_are_refused(trained, digits):
    call = ["features", *flags(trained, **RUN, **SPLITS, out="f.parquet", views="v.parquet")]
    settings = yaml.safe_load((trained / "params.yaml").read_text())
    settings["method"]["temperature"] = 0.7
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    assert "belongs to another method: method.temperature is" in refused(call)
    small = digits._replace(image=digits.image[:, :, :8, :8])
    images.write(trained / "test.arrow", small, about(small))
    (trained / "params.yaml").write_text(yaml.safe_dump(composed("simclr")))
    assert "are (1, 8, 8) (channels, height, width), but the encoder" in refused(call)
    nothing = Images(*(each[:0] for each in digits))
    images.write(trained / "train.arrow", nothing, about(digits))
    assert "has no images" in refused(call)


def test_every_probe_writes_its_numbers(trained, capsys):
    extracted(trained)
    main(["probe", *flags(trained, **FEATURES, out="metrics")])
    written = {path.stem for path in (trained / "metrics").iterdir()}
    assert written == set(compose.probes(PARAMS))
    first = (trained / "metrics/linear.json").read_bytes()
    assert json.loads(first)["linear"] > 0.5  # chance is 0.1
    main(["probe", *flags(trained, **FEATURES, out="metrics")])
    assert (trained / "metrics/linear.json").read_bytes() == first
    assert "probe knn:" in capsys.readouterr().err


def unlabelled(folder: Path) -> None:
    for name in SIZES:
        part, data = images.read(folder / f"{name}.arrow")
        part = Images.of(part.id.clone(), part.image.clone(), torch.full_like(part.label, -1))
        images.write(folder / f"{name}.arrow", part, data)


def test_without_labels_only_what_needs_none_is_measured(trained):
    unlabelled(trained)
    extracted(trained)
    main(["probe", *flags(trained, **FEATURES, out="metrics")])
    main(["finetune", *flags(trained, encoder=RUN["encoder"], **SPLITS, out="finetune.json")])
    assert json.loads((trained / "metrics/linear.json").read_text()) == {}
    assert json.loads((trained / "finetune.json").read_text()) == {}
    assert json.loads((trained / "metrics/spectrum.json").read_text())["effective_rank"] > 1


def test_a_wrong_probe_is_refused(trained):
    extracted(trained)
    settings = composed("simclr")
    settings["probe"] = {"mine": {"_target_": "unlabel.hardware.Hardware"}}
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    call = ["probe", *flags(trained, **FEATURES, out="metrics")]
    assert "probe.mine._target_ is unlabel.hardware.Hardware, which is no probe" in refused(call)


# Fine-tuning


def tuner(**settings: object) -> finetune.Finetune:
    recipe = composed("simclr")["finetune"] | {"batch": 64, "fractions": [0.5], "steps": [10]}
    return build(recipe | settings, "finetune")


@pytest.fixture
def parts(digits):
    return [Images(*(each[a:b] for each in digits)) for a, b in ((0, 300), (300, 400), (400, 500))]


def test_finetuning_gives_the_same_bits_twice(parts, digits, hardware):
    backbone = assembled(composed("simclr"), about(digits)).encoder
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    first = tuner().measure(backbone, about(digits), parts, hardware, 0)
    torch.manual_seed(99)
    assert first == tuner().measure(backbone, about(digits), parts, hardware, 0)
    assert first != tuner().measure(backbone, about(digits), parts, hardware, 1)
    assert all(torch.equal(before[name], t) for name, t in backbone.state_dict().items())


def test_finetuning_starts_from_the_linear_classifier_and_learns(parts, digits, hardware):
    backbone = assembled(composed("simclr"), about(digits)).encoder
    still = tuner(steps=[0]).measure(backbone, about(digits), parts, hardware, 0)
    assert still["finetune_50"] > 0.4  # chance is 0.1
    moved = tuner(steps=[80]).measure(backbone, about(digits), parts, hardware, 0)
    assert moved["validation_finetune_50"] > still["validation_finetune_50"]


def test_finetuning_chooses_nothing_by_test_labels(parts, digits, hardware, monkeypatch):
    counted, kept = finetune.accuracy, []

    def accuracy(model, *rest):
        kept.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        return counted(model, *rest)

    monkeypatch.setattr(finetune, "accuracy", accuracy)
    backbone = assembled(composed("simclr"), about(digits)).encoder
    probe = tuner(lr=[1e-4, 1e-3])
    first, number = probe.measure(backbone, about(digits), parts, hardware, 0), len(kept)
    parts[2] = parts[2]._replace(label=parts[2].label.roll(1))
    second = probe.measure(backbone, about(digits), parts, hardware, 0)
    assert all(torch.equal(a, b) for a, b in zip(kept[:number], kept[number:], strict=True))
    assert first["validation_finetune_50"] == second["validation_finetune_50"]
    assert first["finetune_50"] > second["finetune_50"]


def test_each_fraction_needs_its_steps():
    with pytest.raises(UserError, match=r"finetune\.steps has 1 numbers"):
        tuner(fractions=[0.1, 1.0])


def test_finetune_writes_its_numbers(trained):
    main(["finetune", *flags(trained, encoder=RUN["encoder"], **SPLITS, out="finetune.json")])
    measures = json.loads((trained / "finetune.json").read_text())
    expected = [f"{v}finetune_{n}" for v in ("", "validation_") for n in (1, 10, 100)]
    assert sorted(measures) == sorted(expected)


def test_probes_do_not_import_what_takes_seconds():
    slow = ["sklearn", "scipy", "torchvision", "hydra", "pandas"]
    modules = "unlabel.stage.probe, unlabel.probe.lowshot, unlabel.probe.knn"
    code = f"import sys, {modules}; print([name for name in {slow} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(PARAMS.parent / "ssl")}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert said.stdout.strip() == "[]", said.stderr
