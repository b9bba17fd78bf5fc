"""Loggers get each row of a log once, also after a kill."""

import gc
import json
import math
import signal
import sys
from collections.abc import Iterator

import pandas as pd
import pytest
import yaml

from support.models import about, composed
from unlabel.data import images
from unlabel.errors import UserError
from unlabel.stage import pretrain
from unlabel.training import checkpoint, loggers, state

RUN = "tiny/digits/simclr/base/0"


@pytest.fixture
def killed(digits, tmp_path, monkeypatch):
    """A folder with a training that was killed after some steps, and what goes on with it."""
    images.write(tmp_path / "train.arrow", digits, about(digits))
    images.write(tmp_path / "validation.arrow", digits.take(slice(100)), about(digits))
    settings = composed("simclr", "monitor.every=1") | {"run": RUN}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))

    def train(*names: str) -> pd.DataFrame:
        names_ = ("params.yaml", "train.arrow", "state", "out", "validation.arrow")
        pretrain.run(*(tmp_path / name for name in names_), list(names), tmp_path / "logs")
        return pd.read_parquet(tmp_path / "out/log.parquet")

    def go_on(*names: str) -> pd.DataFrame:
        save, saved = checkpoint.save, []

        def cut_off(*arguments):
            if len(saved) < 3:
                save(*arguments)
            saved.append(None)
            if len(saved) == 5:  # two steps after the last state
                raise KeyboardInterrupt

        monkeypatch.setattr(state, "SECONDS", 0)
        monkeypatch.setattr(state, "SHARE", math.inf)
        monkeypatch.setattr(checkpoint, "save", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train(*names)
        monkeypatch.setattr(checkpoint, "save", save)
        return train(*names)

    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path, go_on
    signal.signal(signal.SIGTERM, before)


def same(log: pd.DataFrame, column: str, there: list[tuple[int, float]]) -> None:
    known = log[["step", column]].dropna()
    assert [step for step, _ in there] == known["step"].tolist()
    assert [value for _, value in there] == pytest.approx(known[column].tolist(), rel=1e-6)


def test_tensorboard_has_each_step_once_after_a_kill(killed):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    folder, go_on = killed
    log = go_on("tensorboard")
    (path,) = (folder / "logs/tensorboard" / RUN).iterdir()
    found: dict[str, list[tuple[int, float]]] = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert found.keys() == set(log) - {"step"}
    for column, there in found.items():
        same(log, column, there)


def test_mlflow_has_each_step_once_after_a_kill(killed):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    folder, go_on = killed
    log = go_on("mlflow")
    client = MlflowClient((folder / "logs/mlflow").as_uri())
    experiment = client.get_experiment_by_name("unlabel").experiment_id
    (run,) = client.search_runs([experiment])
    assert (run.info.run_name, run.info.status) == (RUN, "FINISHED")
    assert run.data.params["training.batch"] == str(composed("simclr")["training"]["batch"])
    assert run.data.metrics.keys() == set(log) - {"step"}
    for column in run.data.metrics:
        there = client.get_metric_history(run.info.run_id, column)
        same(log, column, [(each.step, each.value) for each in there])


def wandb_records(file: bytes, block: int = 2**15) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, after a header of 7 bytes."""
    at, whole = 7, b""
    while at + 7 <= len(file):
        if block - at % block < 7:  # no header fits into what is left of the block
            at += block - at % block
            continue
        length, kind = int.from_bytes(file[at + 4 : at + 6], "little"), file[at + 6]
        whole += file[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield whole
            whole = b""


def test_wandb_has_each_step_once_after_a_kill(killed):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    folder, go_on = killed
    log = go_on("wandb")
    (path,) = (folder / "logs/wandb/wandb").glob("offline-run-*/*.wandb")
    found: dict[str, list[tuple[int, float]]] = {}
    for data in wandb_records(path.read_bytes()):
        history = Record.FromString(data).history
        for item in history.item:
            name = item.key or item.nested_key[0]
            found.setdefault(name, []).append((history.step.num, json.loads(item.value_json)))
    for column in set(log) - {"step"}:
        same(log, column, found[column])


# of DVC's library for git, which DVCLive loads
@pytest.mark.filterwarnings("ignore:.*:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_dvclive_has_each_step_once_after_a_kill(killed):
    pytest.importorskip("dvclive")
    folder, go_on = killed
    log = go_on("dvclive")
    tables = list((folder / "logs/dvclive" / RUN / "plots/metrics").glob("*.tsv"))
    assert {path.stem for path in tables} == set(log) - {"step"}
    for path in tables:
        table = pd.read_csv(path, sep="\t")
        same(log, path.stem, list(zip(table["step"], table[path.stem], strict=True)))
    assert not list((folder / "logs/dvclive").rglob("dvc.yaml"))
    gc.collect()  # what it leaves open is noticed here


def test_a_logger_that_fails_does_not_end_the_training(killed, monkeypatch, capsys):
    class Full(loggers.Logger):
        def __init__(self, folder, run, settings):
            pass

        def add(self, row):
            if row["step"]:
                raise OSError("No space left on device")

    monkeypatch.setattr(loggers, "opened", lambda name, *more: Full(*more))
    monkeypatch.setattr(loggers, "check", lambda name: None)
    _, go_on = killed
    assert len(go_on("tensorboard")) == 9
    said = "tensorboard failed (No space left on device); the training goes on without it"
    assert capsys.readouterr().err.count(said) == 2  # before the kill and after it


def test_a_logger_that_is_not_installed_is_refused_by_the_name_of_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"names wandb, which is not installed; .*'\.\[wandb\]'"):
        loggers.check("wandb")
    with pytest.raises(UserError, match="'tensorbord'; did you mean 'tensorboard'"):
        loggers.check("tensorbord")
