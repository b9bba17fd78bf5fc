"""What a dry run says beforehand: how many runs, how long, how much disk."""

import base64
import json
import shutil

import pytest
import torch
import yaml

from support.models import PARAMS
from unlabel.run import Run
from unlabel.units import number
from unlabel.workflow import forecast, gpu_hours
from unlabel.workflow.engine.planned_jobs import Job
from unlabel.workflow.forecast import Room
from unlabel.workflow.plan import Plan

RUNS = [
    Run("tiny", "digits", method, "base", seed)
    for method in ("simclr", "random")
    for seed in (0, 1)
]
DUE = ("missing",)
ROOM = Room(cores=2)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = shutil.copytree(PARAMS, tmp_path / "params")
    recipe = yaml.safe_load((params / "method/simclr.yaml").read_text())
    del recipe["about"]
    text = yaml.safe_dump(recipe, sort_keys=False)
    (params / "method/bare.yaml").write_text(f"# @package _global_\n{text}")
    plan = Plan(params, tmp_path / "frozen")
    for run in RUNS:
        plan.add(run)
    return plan


def training(run: Run, due: tuple[str, ...] = DUE) -> Job:
    return Job(f"pretrain_{run.method}", run.method, run, due)


def finish(
    folder, run: Run, speed: float | None, size: int = 1000, device: str = "2 cores"
) -> None:
    """The files of a finished run."""
    there = folder / run.folder
    there.mkdir(parents=True)
    about = {"images_per_second": speed, "images": 256, "device": device}
    (there / "run.json").write_text(json.dumps(about))
    (there / "features.parquet").write_bytes(b"0" * size)


def test_nothing_is_known_before_a_first_run(plan, tmp_path):
    found = forecast.forecast(plan, map(training, RUNS), ROOM, tmp_path / "runs")
    assert (found.runs, found.missing, found.training) == (4, 4, None)
    assert "4 of them to be trained; how long that takes is not known" in found.sentence(Room(2))


def test_time_is_from_the_speed_of_the_same_method_or_else_of_any(plan, tmp_path):
    finish(tmp_path / "runs", RUNS[0], speed=512.0)
    finish(tmp_path / "runs", RUNS[2], speed=None)
    jobs = [training(run, DUE if run.seed else ()) for run in RUNS]
    found = forecast.forecast(
        plan, [*jobs, Job("features", "", RUNS[1], DUE)], ROOM, tmp_path / "runs"
    )
    # two epochs of 256 images at 512 images/s; the untrained encoder takes no time
    assert (found.runs, found.missing, found.training) == (4, 2, 1.0)
    other = Run("tiny", "digits", "byol", "base", 0)
    plan.add(other)
    assert forecast.forecast(plan, [training(other)], ROOM, tmp_path / "runs").training == 1.0
    assert found.sentence(Room(2)).startswith(
        "4 runs, 2 of them to be trained: about 0.5 s on 2 cores"
    )
    assert "for the training alone" in found.sentence(Room(2))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"images_per_second": "fast"}', '{"images": [256]}', "\x80"]
)
def test_a_damaged_run_tells_nothing(plan, tmp_path, text):
    finish(tmp_path / "runs", RUNS[0], speed=512.0)
    finish(tmp_path / "runs", RUNS[2], speed=256.0)
    about = tmp_path / "runs" / RUNS[2].folder / "run.json"
    about.write_bytes(text.encode("latin-1"))
    (tmp_path / "runs/tiny/digits/simclr/base/notes").mkdir()
    (tmp_path / "runs/tiny/digits/simclr/base/notes/run.json").write_text("{}")
    due = [training(RUNS[1])]
    assert forecast.forecast(plan, due, ROOM, tmp_path / "runs").training == 1.0
    assert forecast.seconds_like(plan, RUNS[1], False, tmp_path / "runs") == 1.0


def test_trainings_share_the_gpus_of_this_machine(plan, tmp_path):
    """At `tiny` eight share a GPU: each holds one of its eight slots."""
    finish(tmp_path / "runs", RUNS[0], speed=512.0)
    finish(tmp_path / "runs", RUNS[1], speed=5.12, device="NVIDIA H100")
    jobs = [training(run) for run in RUNS[:2]]
    found = forecast.forecast(plan, jobs, Room(64, slots=16), tmp_path / "runs")
    assert found.training == pytest.approx(2 * 100.0)  # as fast as the one that had a GPU
    said = found.sentence(Room(64, slots=16))
    assert said.startswith("2 runs, 2 of them to be trained: about 12 s on 64 cores and 2 GPUs")
    assert "about 100 s on 2 cores and 2 GPUs" in found.sentence(Room(2, slots=16))


def test_disk_is_from_finished_runs(plan, tmp_path):
    finish(tmp_path / "runs", RUNS[0], 512.0, size=30_000_000)
    found = forecast.forecast(plan, map(training, RUNS[1:]), ROOM, tmp_path / "runs")
    assert found.disk == pytest.approx(3 * 30_000_000, rel=0.01)
    assert found.sentence(Room(1)).endswith("90 MB of disk")


def test_other_jobs_are_as_long_as_they_were(plan, tmp_path):
    finish(tmp_path / "runs", RUNS[0], 512.0)
    records = tmp_path / ".snakemake/metadata"
    records.mkdir(parents=True)
    for at, (rule, seconds) in enumerate(
        [("features", 4), ("features", 6), ("probe", 3), ("report", 9)]
    ):
        target = f"data/runs/tiny/digits/simclr/base/{at}/{rule}"
        name = base64.urlsafe_b64encode(target.encode()).decode()
        record = {"rule": rule, "starttime": 100.0, "endtime": 100.0 + seconds}
        (records / name).write_text(json.dumps(record))
    jobs = [
        *(Job("features", "simclr", run, DUE) for run in RUNS[:2]),
        *(Job("probe", "simclr", run, DUE if run.seed else ()) for run in RUNS[:2]),
        Job("method", "simclr", None, DUE),  # none of these has run yet
    ]
    found = forecast.forecast(plan, jobs, ROOM, tmp_path / "runs")
    assert (found.runs, found.missing, found.others) == (2, 0, 5 + 5 + 3)
    assert found.sentence(Room(1)) == "2 runs, none of them to be trained: about 13 s on 1 core"
    nothing = forecast.forecast(plan, [training(run, ()) for run in RUNS], ROOM, tmp_path / "runs")
    assert nothing.sentence(Room(1)) == "4 runs, none of them to be trained"


def test_hours_on_a_gpu_are_arithmetic_and_said_to_be(plan):
    """A ResNet-18 of 32 pixels takes 1.11 GFLOP a pass; SimCLR takes six, BYOL two more."""
    runs = [Run("full", "cifar10", name, "base", 0) for name in ("simclr", "byol", "random")]
    for run in runs:
        plan.add(run)
    shown = 200 * (plan.datasets.expected("cifar10").images or {"train": 50_000})["train"]
    said = gpu_hours.sentence(plan, map(training, runs))
    assert said.startswith("by arithmetic, not measured: about ")
    assert f"for {number(shown * (6 + 8) * 1.1108352e9 / 1e15, 0)} PFLOP" in said
    assert gpu_hours.sentence(plan, map(training, RUNS)) == ""
    small = [Run("study", "fashion_mnist", "simclr", "base", seed) for seed in range(40)]
    for run in small:
        plan.add(run)
    assert gpu_hours.sentence(plan, map(training, small)) == "", "it is no matter of operations"
    bare = Run("full", "cifar10", "bare", "base", 0)  # nobody says what it is about
    plan.add(bare)
    assert "PFLOP" in gpu_hours.sentence(plan, [training(bare)])
    assert gpu_hours.views({"views": 2, "momentum_encoder": True}, {"crops": 4}) == (2 + 4) * 4


def test_operations_of_a_network_that_needs_numbers_to_be_made():
    encoder = {"_target_": "unlabel.encoder.torchvision.Torchvision", "model": "regnet_x_400mf"}
    before = torch.random.get_rng_state()
    assert 0.3e9 < gpu_hours.forward(json.dumps(encoder), (224, 224)) / 2 < 0.5e9  # 400 MF
    assert torch.equal(torch.random.get_rng_state(), before)
