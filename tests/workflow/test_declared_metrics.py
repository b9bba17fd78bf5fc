"""What methods, probes and the log declare is just what they measure."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from support.models import METHODS, about, assembled, composed, noise
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.features.split import ALL, Features, Split, Views
from unlabel.metric import Metric, find
from unlabel.params.settings import build
from unlabel.probe import Probe, _run, named
from unlabel.probe._trained import EncoderProbe
from unlabel.training.log import Log
from unlabel.training.loop import Training, fit
from unlabel.training.monitor import Accuracy, Monitor
from unlabel.workflow.declared_metrics import check, declared, joined

TRAINING = Training(epochs=1, batch=16)
VARIANTS = [
    *((name, "base") for name in METHODS),
    ("inpainting", "method.adversarial=0.1"),
    ("instance_discrimination", "method.negatives=8"),
    ("moco", "method.queue=0"),
    ("simclr", "method.layers=0"),
]
FACTORS = {"hue": ("red", "green"), "top_left": ("yes", "no")}
SIZES = {"train": 300, "validation": 100, "test": 100}


def names(settings: dict, kind: str, **known) -> set[str]:
    """The names that are declared for the log or run.json, or for the probes."""
    found = [metric.name for metric in declared(settings, **known)]
    if kind:
        return {name.removeprefix(kind) for name in found if name.startswith(kind)}
    return {name for name in found if not name.startswith(("log.", "run."))}


def features(settings: dict, labelled: bool, projector: bool, views: bool = True) -> Features:
    """Random features of a dataset with two factors."""
    draw = torch.Generator().manual_seed(0)

    def some(size: int) -> torch.Tensor:
        return torch.randn(size, 3, generator=draw)

    def split(size: int) -> Split:
        label = torch.arange(size) % 5 if labelled else torch.full((size,), -1)
        factor = torch.stack([torch.arange(size) % 2, torch.arange(size) // 3 % 2], 1)
        return Split(
            torch.arange(size), label, factor, some(size), some(size) if projector else None
        )

    transforms = [key for key in settings["features"]["transforms"] if key != "_target_"]
    pairs = {
        name: Views(torch.arange(40), *(some(40) for _ in range(4 if projector else 2)))
        for name in [ALL, *transforms]
    }
    parts, classes = map(split, SIZES.values()), tuple("abcde")
    return Features(*parts, pairs if views else {}, classes, FACTORS)


def measured(settings: dict, probes: list[str], found: Features) -> set[str]:
    every = settings["probe"] | settings["measure"]
    recipes = {name: every[name] for name in probes}
    numbers = [each for _, each in _run.measured(_run.built(recipes), found, 0)]
    assert len({name for each in numbers for name in each}) == sum(map(len, numbers))
    return {name for each in numbers for name in each}


def each_factor(declared: set[str]) -> set[str]:
    return {name.replace("{factor}", factor) for name in declared for factor in FACTORS}


@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=map("/".join, VARIANTS))
def test_a_method_logs_just_what_it_declares(name, variant, hardware):
    settings, data = composed(name, variant), noise((1, 16, 16))
    method = hardware.move(assembled(settings, about(data)))
    optimizers = [build(settings["optimizer"], module=each) for each in method.players()]
    steps = TRAINING.steps(len(data.id)) if optimizers else 0
    accuracy = Accuracy(data, data, Monitor(every=1), hardware) if optimizers else None
    log = Log(method, data, steps, TRAINING.epochs, hardware, accuracy)
    log.start()
    loop = fit(method, data, optimizers, TRAINING, hardware, 0) if optimizers else ()
    for step, result in enumerate(loop, 1):
        log.add(step, result, lr=0.1)
    assert {column for row in log.rows for column in row} == names(settings, "log.")
    h = method.eval().encoder(hardware.pixels(data.image[:2]))
    assert (method.embed(h) is not None) == ("effective_rank_z" in names(settings, ""))


def test_no_name_means_two_things():
    everything = joined(declared(composed(name), ["digits"]) for name in METHODS)
    assert len({metric.name for metric in everything}) == len(everything)
    assert all(metric.title for metric in everything)
    mine = Metric("log.accuracy", "accuracy at nothing", share=True)
    with pytest.raises(UserError, match=r"'log\.accuracy' is declared as 'accuracy at the pretext"):
        joined([declared(composed("rotation")), (mine,)])


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "unlabelled"])
@pytest.mark.parametrize("method", ["simclr", "rotation"])
def test_probes_measure_just_what_they_declare(method, labelled):
    settings = composed(method)
    settings["probe"]["information"]["candidates"] = [4, 16]  # no more than there are pairs
    finetuned = {name for name in names(settings, "") if "finetune_" in name}
    assert bool(finetuned) is True
    probes = _run.built(settings["probe"] | settings["measure"])
    others = {name for name, each in probes.items() if isinstance(each, EncoderProbe)}
    encoded = {metric.name for name in others for metric in probes[name].metrics()}
    assert others == {"detection", "robustness", "segmentation"}
    found = features(settings, labelled, projector=method == "simclr")
    expected = each_factor(names(settings, "", labelled=labelled) - finetuned - encoded)
    assert measured(settings, [name for name in probes if name not in others], found) == expected


def test_transfer_measures_just_what_it_declares():
    settings = composed("simclr")
    found = features(settings, labelled=True, projector=False, views=False)
    got = measured(settings, settings["transfer"]["probes"], found)
    expected = names(settings, "", transfer=["stl10"]) - names(settings, "")
    assert {named(name, "stl10") for name in got} == each_factor(expected)


def test_finetuning_measures_just_what_it_declares(digits, hardware):
    settings = composed("rotation")
    bounds = (slice(300), slice(300, 400), slice(400, 500))
    parts = [Images(*(each[part] for each in digits)) for part in bounds]
    backbone = assembled(settings, about(digits)).encoder
    probe = build(settings["finetune"], "finetune")
    numbers = probe.measure(backbone, about(digits), parts, hardware, 0)
    assert set(numbers) == {name for name in names(settings, "") if "finetune_" in name}


def test_run_json_has_just_the_numbers_that_are_declared(digits, tmp_path: Path):
    images.write(tmp_path / "train.arrow", digits, about(digits))
    settings = composed("simclr", "training.epochs=1+training.images=64")
    sections = ("seed", "hardware", "training", "optimizer", "encoder", "method")
    frozen = {"run": "tiny/digits/simclr/base/0"} | {key: settings[key] for key in sections}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(frozen))
    files = {"params": "params.yaml", "train": "train.arrow", "state": "state", "out": "out"}
    flags = [each for name, file in files.items() for each in (f"--{name}", str(tmp_path / file))]
    main(["pretrain", *flags])
    record = json.loads((tmp_path / "out/run.json").read_text())
    numbers = {name for name, value in record.items() if type(value) in (int, float)}
    assert numbers == names(settings, "run.")


def test_a_probe_that_does_not_declare_a_number_is_refused():
    class Mine(Probe):
        def metrics(self):
            return [Metric("length", "length of the features")]

        def measure(self, features, seed):
            return {"length": 1.0, "width": 2.0}

    found = features(composed("simclr"), labelled=True, projector=False)
    with pytest.raises(
        UserError, match=r"probe mine measures 'width' .* declare it in .*\.metrics"
    ):
        list(_run.measured({"mine": Mine()}, found, 0))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("linaer", "did you mean 'linear'"),
        ("log.encoder", "known are: contrastive_accuracy, "),
        ("log.stem", "did you mean 'log.step'"),
        ("log.los", "did you mean 'log.loss'"),
        ("log.accuracy", "known are: contrastive_accuracy, "),
        ("run.labels", "known are: images, images_per_second, "),
        ("finetune_2", "did you mean 'finetune_1'"),
        ("similarity_crob", "did you mean 'similarity_crop'"),
        ("linear_", "did you mean 'linear_"),
    ],
)
def test_a_metric_that_no_run_has_is_refused_with_the_nearest(name, said):
    with pytest.raises(UserError, match=f"metric '{name}', which no run has; {said}"):
        check(name, declared(composed("simclr")), "the study 'x'")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("linear_z", "linear accuracy, on z"),
        ("linear_h", "linear accuracy, on h"),
        ("linear_hue", "linear accuracy for hue"),
        ("linear_top_left", "linear accuracy for top left"),
        ("linear_z_hue", "linear accuracy for hue, on z"),
        ("validation_linear_z_hue", "linear accuracy for hue, on z, validation"),
        ("validation_stl10_knn", "kNN accuracy, validation, on stl10"),
        ("stl10_linear_hue", "linear accuracy for hue, on stl10"),
        ("lowshot_1_std", "linear accuracy, 1 % of labels, deviation over draws"),
    ],
)
def test_a_metric_is_called_as_it_was_declared(name, title):
    found = find(name, declared(composed("simclr"), ["stl10"]))
    assert found is not None
    assert (found.name, found.title, found.share) == (name, title, True)
