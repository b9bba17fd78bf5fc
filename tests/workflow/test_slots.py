"""Jobs on one machine share its GPUs, for which files stand here."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.project import ROOT, STUDY, project, snakemake
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.params.placement import SLOTS
from unlabel.workflow import devices, lifeline, slots

# What each training notes in a test's copy of the project: which GPUs it sees, and when.
NOTE = """

import functools
import json
import os
import time

_train_unseen = run


@functools.wraps(run)  # with its flags
def run(**flags: Any) -> None:
    noted = {"gpus": os.environ["CUDA_VISIBLE_DEVICES"], "start": time.monotonic()}
    _train_unseen(**flags)
    Path("noted", f"{os.getpid()}").write_text(json.dumps(noted | {"end": time.monotonic()}))
"""


@pytest.fixture
def two(tmp_path, monkeypatch) -> Path:
    """Two stand-ins for GPUs."""
    folder = tmp_path / "gpus"
    folder.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (folder / name).touch()
    monkeypatch.setenv(devices.STAND_INS, str(folder))
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    return folder


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["0", "1"]),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("", []),
        ("-1", []),
        ("0,2,1", ["0"]),  # CUDA stops at the first that is not there
        ("GPU-8f2c,MIG-11", ["GPU-8f2c", "MIG-11"]),
    ],
)
def test_only_the_gpus_that_a_user_or_slurm_shows_are_shared(two, visible, expected):
    environment = {devices.STAND_INS: str(two)}
    assert (
        devices.shared(environment | ({devices.VISIBLE: visible} if visible is not None else {}))
        == expected
    )


def test_without_a_driver_there_is_no_gpu(tmp_path):
    assert devices.shared({devices.STAND_INS: str(tmp_path), devices.VISIBLE: "0"}) == []
    assert devices.shared({devices.STAND_INS: str(tmp_path / "none")}) == []


def free(held: slots.Held) -> None:
    for each in held:
        os.close(each)


def job(two: Path, gpus: int, each: int = SLOTS) -> dict[str, str]:
    """The environment of a job of a workflow on this machine."""
    asked = {slots.ASKED: str(gpus), slots.SHARE: str(gpus * each)}
    return {devices.STAND_INS: str(two), lifeline.ENVIRONMENT: str(os.getpid()), **asked}


def test_a_job_sees_what_it_holds_and_nothing_else(two, capsys):
    first, second, none = job(two, 1), job(two, 1), job(two, 0)
    held = slots.take(first) + slots.take(second)
    assert len(held) == 2 * SLOTS
    assert [each[devices.VISIBLE] for each in (first, second)] == ["0", "1"]
    assert slots.take(none) == []
    assert none[devices.VISIBLE] == ""
    assert slots.take(first) == []  # such as a process that torchrun starts, which is of this job
    by_hand = {devices.STAND_INS: str(two)}
    assert slots.take(by_hand) == []
    assert devices.VISIBLE not in by_hand
    cluster = {key: value for key, value in job(two, 1).items() if key != lifeline.ENVIRONMENT}
    assert slots.take(cluster) == []  # which has placed it
    assert devices.VISIBLE not in cluster
    assert capsys.readouterr().err == ""
    free(held)


def test_small_jobs_share_a_gpu_and_spread_over_all(two):
    seen, held = [], []
    for _ in range(2 * SLOTS):
        each = job(two, 1, each=1)
        held += slots.take(each)
        seen.append(each[devices.VISIBLE])
    free(held)
    assert seen == ["0", "1"] * SLOTS


def test_more_gpus_than_there_are_is_one_sentence(two):
    with pytest.raises(UserError, match="asks for 3 GPUs, but may use 2 here; see nvidia-smi"):
        slots.take(job(two, 3))
    with pytest.raises(UserError, match="asks for 1 GPU, but may use 0 here"):
        slots.take(job(two, 1) | {devices.VISIBLE: ""})


def test_jobs_of_one_and_of_several_gpus_all_get_their_turn(tmp_path):
    known, guard, load = ["0", "1", "2"], threading.Lock(), dict.fromkeys("012", 0)

    def work(count: int, each: int) -> int:
        chosen, held = slots.hold(known, count, each, tmp_path)
        with guard:
            for name in chosen:
                load[name] += each
            assert max(load.values()) <= SLOTS
        time.sleep(0.01)
        with guard:
            for name in chosen:
                load[name] -= each
        free(held)
        return len(set(chosen))

    asked = [(count, each) for count in (1, 1, 2, 3) for each in (1, 4, SLOTS)] * 2
    random.Random(0).shuffle(asked)
    with ThreadPoolExecutor(len(asked)) as pool:
        waiting = [pool.submit(work, *each) for each in asked]
        assert [each.result(timeout=60) for each in waiting] == [count for count, _ in asked]


def test_a_killed_job_frees_its_slots(two):
    code = "from unlabel.workflow import slots; held = slots.take(); print(len(held)); input()"
    environment = {**os.environ, **job(two, 2), "PYTHONPATH": str(ROOT / "ssl")}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", code], env=environment, **streams)
    assert holder.stdout.readline() == f"{2 * SLOTS}\n"
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(slots.hold, ["0", "1"], 1, 1, two)
        time.sleep(3 * slots.SECONDS)
        assert not waits.done()
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        chosen, held = waits.result(timeout=20)
    free(held)
    assert chosen in (["0"], ["1"])  # the system frees the files one after another


def test_a_job_that_was_given_a_gpu_never_computes_on_the_cpu_unasked(monkeypatch):
    monkeypatch.delenv(devices.STAND_INS, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name in (slots.ASKED, "SLURM_JOB_GPUS"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            with pytest.raises(
                UserError, match="was given a GPU, but torch finds none; mend the d"
            ):
                Hardware().resolve()
            assert Hardware(device="cpu").resolve().device == "cpu"
            patch.setenv(slots.ASKED, "0")
            assert Hardware().resolve().device == "cpu"


def test_trainings_side_by_side_compute_on_gpus_of_their_own(two, tmp_path):
    folder = project(tmp_path / "project", STUDY | {"methods": ["rotation"], "seeds": [0, 1, 2, 3]})
    budget = folder / "params/budget/tiny.yaml"
    budget.write_text(budget.read_text().replace("runs_per_gpu: 8", "runs_per_gpu: 1"))
    stage = folder / "ssl/unlabel/stage/pretrain.py"
    stage.write_text(stage.read_text() + NOTE)
    (folder / "noted").mkdir()
    runs = [f"data/runs/tiny/digits/rotation/base/{seed}/run.json" for seed in range(4)]
    said = snakemake(folder, "--cores", "8", "--verbose", *runs)
    assert "4 runs, 4 of them to be trained" in said
    noted = [json.loads(each.read_text()) for each in (folder / "noted").iterdir()]
    assert len(noted) == 4
    assert {each["gpus"] for each in noted} == {"0", "1"}
    at_once = [
        [other["gpus"] for other in noted if other["start"] <= each["start"] <= other["end"]]
        for each in noted
    ]
    assert max(map(len, at_once)) == 2
    assert all(len(set(gpus)) == len(gpus) for gpus in at_once)
    assert "waiting for a GPU" not in said
