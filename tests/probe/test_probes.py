"""What holds of every probe: it finds classes, and chooses nothing by test labels."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from support.clouds import CLASSES, FACTORS, PROJECTION, SIZES, VIEWS, clouds, projection
from support.extracted import FEATURES, RUN, SPLITS, extracted, flags
from support.models import PARAMS, composed
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.features.split import Features, Split, Views
from unlabel.nn import nearest
from unlabel.params import compose
from unlabel.probe import _axes, _regression, balanced
from unlabel.probe._run import built, measured
from unlabel.probe.detection import Detection
from unlabel.probe.factors import Factors
from unlabel.probe.information import Information
from unlabel.probe.invariance import Invariance
from unlabel.probe.knn import KNN, vote
from unlabel.probe.linear import Linear
from unlabel.probe.lowshot import LowShot
from unlabel.probe.spectrum import Spectrum


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


def collapsed() -> Features:
    """Features that say nothing."""
    parts = [getattr(clouds(), name) for name in SIZES]
    parts = [part._replace(h=torch.ones_like(part.h), z=None) for part in parts]
    return Features(*parts, VIEWS, CLASSES, FACTORS)


def test_a_collapsed_encoder_is_measured_too():
    probes = (KNN(), Linear(), LowShot(), Spectrum(), Factors(), Invariance(), PROJECTION)
    probes = (*probes, Information(candidates=[4], temperatures=[0.1]))
    for probe in probes:
        measures = probe.measure(collapsed(), 0)
        assert all(math.isfinite(value) for value in measures.values())
    assert Linear().measure(collapsed(), 0)["linear"] < 0.4


@pytest.mark.parametrize("images", [1, 2])
def test_one_or_two_images_to_measure_on_give_numbers_or_a_reason(images, capsys):
    few = clouds()
    some = torch.arange(images)
    few = replace(few, validation=few.validation.take(some), test=few.test.take(some))
    few = replace(few, views={name: _first(each, images) for name, each in few.views.items()})
    names = ("knn", "linear", "lowshot", "projection", "invariance", "spectrum")
    probes = built({name: composed("simclr")["probe"][name] for name in names})
    measures = dict(measured(probes, few, 0))
    assert all(math.isfinite(x) for each in measures.values() for x in each.values())
    left_out = [name for name in names if not measures[name]]
    assert left_out == (["invariance", "spectrum"] if images == 1 else [])
    said = "spectrum: it needs 2 validation images, and there is 1"
    assert (said in capsys.readouterr().err) == (images == 1)


def _first(views: Views, images: int) -> Views:
    return Views(*(None if each is None else each[:images] for each in views))


@pytest.mark.parametrize("probe", [Linear(), LowShot(), KNN(), Factors(), PROJECTION])
def test_test_labels_only_count_right_answers(probe, monkeypatch):
    fitted, kept = _regression.fit, []
    monkeypatch.setattr(_regression, "fit", lambda *a: kept.append(fitted(*a)) or kept[-1])
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


def many() -> Features:
    """Features of more images than are taken at a time, some without a label."""
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 8, generator=draw)

    def part(size: int) -> Split:
        label = torch.randint(4, (size,), generator=draw)
        h = centres[label] + torch.randn(size, 8, generator=draw)
        label = label.where(torch.arange(size) % 9 != 8, -1)
        return Split(torch.arange(size), label, torch.stack([label, label.flip(0)], 1), h, h[:, :3])

    return Features(part(9000), part(500), part(500), {}, CLASSES, {"a": CLASSES, "b": CLASSES})


@pytest.mark.parametrize(
    "probe", [Linear(), LowShot([0.1], 1), KNN(k=20), Factors(), projection(5000)]
)
def test_many_features_are_measured_in_parts_as_if_at_once(probe, monkeypatch):
    at_once = probe.measure(many(), 0)
    monkeypatch.setattr(_axes, "KEPT", 0)
    monkeypatch.setattr(nearest, "CHUNK", 1000)
    assert probe.measure(many(), 0) == at_once


def test_a_part_of_the_bank_without_a_label_is_passed_over(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    bank, query = torch.randn(110, 5, generator=draw), torch.randn(30, 5, generator=draw)
    label = torch.arange(110) % 4
    label[:20] = -1
    expected = vote(bank[20:], label[20:], query, 7, 0.07)
    monkeypatch.setattr(nearest, "CHUNK", 10)
    assert torch.equal(vote(bank, label, query, 7, 0.07), expected)


def refused(arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return str(ended.value)


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


def test_probes_do_not_import_what_takes_seconds():
    slow = ["sklearn", "scipy", "torchvision", "hydra", "pandas"]
    modules = "unlabel.stage.probe, unlabel.probe.lowshot, unlabel.probe.knn"
    code = f"import sys, {modules}; print([name for name in {slow} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(PARAMS.parent / "ssl")}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert said.stdout.strip() == "[]", said.stderr


def test_a_probe_on_request_measures_the_encoder_or_its_features(trained):
    extracted(trained)
    settings = composed("simclr")
    own = settings["measure"]
    assert set(own) == set(compose.own_probes(PARAMS))
    own["robustness"] |= {"images": 20}
    own["detection"] |= {"others": ["test"], "k": 5}  # what the file calls itself
    for name in ("fewshot", "detection", "robustness"):
        frozen = settings | {"measure": {name: own[name]}}
        (trained / "params.yaml").write_text(yaml.safe_dump(frozen))
        files = {"encoder": RUN["encoder"]} | FEATURES | SPLITS | {"out": f"{name}.json"}
        main(["measure", *flags(trained, **files), "--others", str(trained / "test.arrow")])
        numbers = json.loads((trained / f"{name}.json").read_text())
        assert numbers
        assert all(each.startswith((name, "validation_")) for each in numbers)


def test_a_probe_of_masks_without_them_is_one_sentence(trained):
    extracted(trained)
    frozen = composed("simclr")
    frozen["measure"] = {"segmentation": frozen["measure"]["segmentation"]}
    (trained / "params.yaml").write_text(yaml.safe_dump(frozen))
    files = {"encoder": RUN["encoder"]} | FEATURES | SPLITS | {"out": "segmentation.json"}
    said = refused(["measure", *flags(trained, **files)])
    assert "segmentation needs the class of each pixel; pass --masks" in said


def test_a_probe_of_encoders_cannot_measure_features_alone():
    with pytest.raises(UserError, match=r"Detection needs the encoder .* --config probes=NAME"):
        Detection(others=["digits"]).measure(clouds(), 0)


def test_balanced_accuracy_is_the_mean_over_classes():
    label = torch.tensor([0] * 6 + [2] * 2)
    right = torch.tensor([True] * 6 + [True, False])
    assert balanced(right, label) == (1 + 0.5) / 2
    known = clouds().test.labelled()
    few = known.take((known.label > 0) | (torch.arange(len(known.id)) < 9))
    measures = KNN(k=20).measure(replace(clouds(), test=few), 0)
    votes = vote(*bank(), few.h, 20, 0.07)
    shares = [float((votes == k)[few.label == k].double().mean()) for k in range(4)]
    assert measures["balanced_knn"] == pytest.approx(sum(shares) / 4)
    assert measures["balanced_knn"] != measures["knn"]
    assert abs(Linear().measure(clouds(), 0)["balanced_linear"] - 0.7) < 0.3


def bank() -> tuple[torch.Tensor, torch.Tensor]:
    known = clouds().train.labelled()
    return known.h, known.label
