"""What a dry run says beforehand: how many runs, how long, how much disk."""

import base64
import json

import pytest
import yaml

from support.models import PARAMS
from unlabel.fingerprint import fingerprint, targets
from unlabel.params.settings import load
from unlabel.run import Run
from unlabel.workflow import forecast
from unlabel.workflow.plan import Plan

RUNS = [
    Run("tiny", "digits", method, "base", seed)
    for method in ("simclr", "random")
    for seed in (0, 1)
]


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = Plan(PARAMS, tmp_path / "frozen")
    for run in RUNS:
        plan.add(run)
    return plan


def finish(plan: Plan, folder, run: Run, speed: float | None, size: int = 1000) -> None:
    """The files of a finished run."""
    there = folder / run.folder
    there.mkdir(parents=True)
    settings = load(plan.params.parent / plan.of(run, "pretrain")["settings"])
    (there / "params.yaml").write_text(yaml.safe_dump(settings))
    code = fingerprint("unlabel.stage.pretrain", *targets(settings))
    about = {"code": code, "images_per_second": speed, "images": 256}
    (there / "run.json").write_text(json.dumps(about))
    (there / "features.parquet").write_bytes(b"0" * size)


def test_nothing_is_known_before_a_first_run(plan, tmp_path):
    found = forecast.forecast(plan, RUNS, tmp_path / "runs")
    assert (found.runs, found.missing, found.training) == (4, 4, None)
    assert "4 of them to be trained; how long that takes is not known" in found.sentence(2)


def test_time_is_from_the_speed_of_the_same_method_or_else_of_any(plan, tmp_path):
    finish(plan, tmp_path / "runs", RUNS[0], speed=512.0)
    finish(plan, tmp_path / "runs", RUNS[2], speed=None)
    found = forecast.forecast(plan, RUNS, tmp_path / "runs")
    # two epochs of 256 images at 512 images/s; the untrained encoder takes no time
    assert (found.runs, found.missing, found.training) == (4, 2, 1.0)
    other = Run("tiny", "digits", "byol", "base", 0)
    plan.add(other)
    assert forecast.forecast(plan, [other], tmp_path / "runs").training == 1.0
    assert found.sentence(2).startswith("4 runs, 2 of them to be trained: about 0.5 s on 2 cores")
    assert "for the training alone" in found.sentence(2)


def test_disk_is_from_finished_runs(plan, tmp_path):
    finish(plan, tmp_path / "runs", RUNS[0], 512.0, size=30_000_000)
    found = forecast.forecast(plan, RUNS, tmp_path / "runs")
    assert found.disk == pytest.approx(3 * 30_000_000, rel=0.01)
    assert found.sentence(1).endswith("90 MB of disk")


def test_other_settings_and_other_code_are_to_be_trained(plan, tmp_path):
    runs = tmp_path / "runs"
    for run in RUNS:
        finish(plan, runs, run, 512.0)
    assert forecast.forecast(plan, RUNS, runs).missing == 0
    assert forecast.forecast(plan, RUNS, runs).sentence(1) == "4 runs, none of them to be trained"
    params = runs / RUNS[0].folder / "params.yaml"
    params.write_text(params.read_text().replace("seed: 0", "seed: 7"))
    about = runs / RUNS[1].folder / "run.json"
    about.write_text(about.read_text().replace('"code": "', '"code": "x'))
    (runs / RUNS[2].folder / "params.yaml").unlink()
    assert forecast.forecast(plan, RUNS, runs).missing == 3


def test_the_jobs_after_training_are_as_long_as_they_were(plan, tmp_path):
    finish(plan, tmp_path / "runs", RUNS[0], 512.0)
    records = tmp_path / ".snakemake/metadata"
    records.mkdir(parents=True)
    for at, (rule, seconds) in enumerate(
        [("features", 4), ("features", 6), ("probe", 3), ("report", 9)]
    ):
        target = f"data/runs/tiny/digits/simclr/base/{at}/{rule}"
        name = base64.urlsafe_b64encode(target.encode()).decode()
        record = {"rule": rule, "starttime": 100.0, "endtime": 100.0 + seconds}
        (records / name).write_text(json.dumps(record))
    assert forecast.forecast(plan, RUNS[:2], tmp_path / "runs").later == 5 + 3
