"""A training is seen while it runs, and comes to the same bits."""

import json
import math
import signal

import pandas as pd
import pytest
import torch
import yaml
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from support.models import about, assembled, composed
from unlabel.data import images
from unlabel.data.images import UNLABELLED, Images
from unlabel.stage import pretrain
from unlabel.training import checkpoint, followers, state
from unlabel.training.log import Log
from unlabel.training.loop import Step
from unlabel.training.monitor import Accuracy, Monitor

MADE = ("encoder.safetensors", "method.safetensors", "pictures.parquet")


@pytest.fixture
def dataset(digits, tmp_path):
    """The files of two splits, and the settings of a training; what `pretrain` is given."""
    for name, rows in (("train", slice(400)), ("validation", slice(400, 500))):
        images.write(tmp_path / f"{name}.arrow", Images(*(e[rows] for e in digits)), about(digits))
    settings = composed("byol", "encoder=resnet_mini+monitor.every=1") | {"run": "a/b/c/d/0"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def train(folder, out, **more):
    before = signal.getsignal(signal.SIGTERM)
    try:
        pretrain.run(
            folder / "params.yaml", folder / "train.arrow", folder / "state", folder / out, **more
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    return folder / out


def test_the_bits_are_the_same_with_and_without_it(dataset):
    seen = train(dataset, "seen", validation=dataset / "validation.arrow")
    unseen = train(dataset, "unseen")
    assert [(seen / name).read_bytes() for name in MADE] == [
        (unseen / name).read_bytes() for name in MADE
    ]
    log, other = (pd.read_parquet(out / "log.parquet") for out in (seen, unseen))
    pd.testing.assert_frame_equal(log.drop(columns="knn"), other)
    # at the start, after each epoch and so at the end
    assert log.loc[log["knn"].notna(), "epoch"].tolist() == [0.0, 1.0, 2.0]
    assert log["knn"].dropna().between(0.2, 1).all()


def test_a_training_that_was_killed_has_the_log_of_one_that_was_not(dataset, monkeypatch):
    known = {"validation": dataset / "validation.arrow"}
    whole = train(dataset, "whole", **known)
    save, saved = checkpoint.save, []

    def cut_off(*arguments):
        save(*arguments)
        saved.append(arguments[-1]["step"])
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(state, "SECONDS", 0)
    monkeypatch.setattr(state, "SHARE", math.inf)
    monkeypatch.setattr(checkpoint, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, "resumed", **known)
    monkeypatch.setattr(checkpoint, "save", save)
    resumed = train(dataset, "resumed", **known)
    assert 0 < saved[-1] < 8
    for name in ("encoder.safetensors", "log.parquet"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()


def test_measuring_leaves_the_generator_the_modes_and_the_statistics_alone(digits, hardware):
    method = assembled(composed("byol", "encoder=resnet_mini"), about(digits))
    hardware.move(method)
    method.train()
    train_, rest = digits.take(slice(300)), digits.take(slice(300, 500))
    measured = Accuracy(train_, rest, Monitor(every=1, bank=200, queries=100), hardware)
    log = Log(method, train_, 10, 2, hardware, measured)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    modes, state = [each.training for each in method.modules()], torch.get_rng_state()
    log.start()
    log.add(1, Step([torch.tensor(1.0)], {}, 1.0), 0.1)
    log.add(5, Step([torch.tensor(1.0)], {}, 1.0), 0.1)
    assert ["knn" in row for row in log.rows] == [True, False, True]
    assert log.last() == {"loss": 1.0, "knn": log.rows[-1]["knn"]}
    assert [each.training for each in method.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in method.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_accuracy_is_that_of_a_weighted_vote(digits, hardware):
    measured = Accuracy(
        digits.take(slice(400)), digits.take(slice(400, 500)), Monitor(1, 400, 400), hardware
    )
    found = measured(nn.Flatten())
    other = KNeighborsClassifier(20, metric="cosine", weights=lambda d: math.e ** ((1 - d) / 0.07))
    other.fit(measured.bank.image.flatten(1) / 255, measured.bank.label)
    score = other.score(measured.queries.image.flatten(1) / 255, measured.queries.label)
    assert (len(measured.bank.id), len(measured.queries.id)) == (400, 100)
    assert found == pytest.approx(score)
    assert found > 0.8


def test_without_labels_the_effective_rank_is_shown(dataset, digits, capsys):
    none = digits._replace(label=torch.full((500,), UNLABELLED)).take(slice(100))
    images.write(dataset / "validation.arrow", none, about(digits))
    out = train(dataset, "out", validation=dataset / "validation.arrow")
    assert "knn" not in pd.read_parquet(out / "log.parquet")
    assert "effective_rank" in capsys.readouterr().err


def test_a_file_says_how_far_a_training_is(dataset, monkeypatch):
    said, write = [], followers.files.write_json
    monkeypatch.setattr(followers, "SECONDS", 0)

    def wrote(path, value, durable=True):
        write(path, value, durable)
        if path.name == followers.STATUS:
            said.append(json.loads(path.read_text()))

    monkeypatch.setattr(followers.files, "write_json", wrote)
    train(dataset, "out", validation=dataset / "validation.arrow")
    assert not (dataset / "state").exists()
    assert [each["epoch"] for each in said] == [n / 4 for n in range(9)]
    assert {"run", "epochs", "images_per_second", "seconds_left", "loss", "knn"} == set(
        said[-1]
    ) - {"epoch"}
    assert said[-1]["seconds_left"] == 0
