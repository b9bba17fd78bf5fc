"""An output is current if, and only if, today's settings, code and data make it.

The invariant is in `unlabel.workflow.engine`; each test breaks a part of it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import STAND_IN, command, digests, environment, forked, planned, snakemake
from support.versions import replace
from support.working import within
from unlabel.run import TRAINED
from unlabel.workflow import lifeline
from unlabel.workflow.engine import records

RUN = "data/runs/tiny/digits/simclr/base/0"
PAGES = {"report": 1, "method": 1, "all": 1}


def test_an_interrupted_second_build_goes_on_like_a_first(copy):
    replace(copy / "params/method/simclr.yaml", "temperature: 0.2", "temperature: 0.3")
    snakemake(copy, "--cores", "2", f"{RUN}/features.parquet")
    assert planned(copy) == {"probe": 1, "finetune": 1, **PAGES}
    assert "Nothing to be done" in snakemake(copy, "-n", f"{RUN}/features.parquet")


def lose(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def forget(folder: Path) -> None:
    """What a job leaves that ends when no Snakemake sees it."""
    for name in ("features.parquet", "views.parquet"):
        (folder / records.place(records.RECORDS, f"{RUN}/{name}")).unlink()


def grow_old(folder: Path) -> None:
    """Put another run's file in place, with its time, as `cp -p` does."""
    other = folder / "data/runs/tiny/digits/random/base/0/features.parquet"
    shutil.copy2(other, folder / RUN / "features.parquet")


def measured(folder: Path) -> None:
    (folder / RUN / "metrics/knn.json").write_text('{"knn": 1.0}')


@pytest.mark.parametrize(
    ("break_it", "made_again"),
    [
        (lose(f"{RUN}/metrics/knn.json", f"{RUN}/metrics/linear.json"), {"probe": 1, **PAGES}),
        (lose(f"{RUN}/metrics/finetune.json"), {"finetune": 1, **PAGES}),
        (forget, {"features": 1, "probe": 1, **PAGES}),
        (grow_old, {"features": 1, "probe": 1, **PAGES}),
        (measured, {"probe": 1, **PAGES}),
    ],
)
def test_what_is_not_the_file_that_was_made_is_made_again(copy, break_it, made_again):
    break_it(copy)
    found = planned(copy)
    assert {rule: min(count, 1) for rule, count in found.items()} == made_again


def test_a_training_that_ended_unseen_is_taken_back_only_on_the_same_images(copy):
    before, dataset = digests(copy), copy / "params/dataset/digits.yaml"
    replace(dataset, "validation: 0.1", "validation: 0.2")
    snakemake(copy, "--cores", "2", f"{RUN}/features.parquet")
    for name in TRAINED:  # as of a job whose end no Snakemake has seen
        record = copy / records.place(records.RECORDS, f"{RUN}/{name}")
        mark = copy / records.place(records.UNFINISHED, f"{RUN}/{name}")
        mark.parent.mkdir(parents=True, exist_ok=True)
        record.rename(mark)
    replace(dataset, "validation: 0.2", "validation: 0.1")
    snakemake(copy, "--cores", "2")
    assert digests(copy) == before


@pytest.mark.parametrize(
    ("name", "rule"),
    [(f"{RUN}/run.json", "pretrain_simclr"), ("data/prepared/digits/report.json", "prepare")],
)
def test_whatever_dvc_versions_is_made_again_if_it_is_deleted(copy, name, rule):
    (copy / name).unlink()
    assert planned(copy)[rule] == 1


def test_a_job_whose_code_is_not_the_planned_one_stops_in_a_sentence(copy):
    before = digests(copy)
    lose(f"{RUN}/features.parquet", f"{RUN}/metrics/knn.json")(copy)
    code = copy / "ssl/unlabel/probe/knn.py"
    text = code.read_text()
    running = subprocess.Popen(
        command("--cores", "1", f"{RUN}/metrics/knn.json"),
        cwd=copy,
        env=forked(**STAND_IN),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    begun(copy, "features", running)
    code.write_text(text + "\n\nassert True\n")
    said, _ = running.communicate()
    assert running.returncode != 0
    assert "error: the code of `probe` was changed after this workflow had planned" in said
    assert "knn.py; start again" in said
    code.write_text(text)
    snakemake(copy, "--cores", "2")
    assert digests(copy) == before


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes there")
@pytest.mark.parametrize("server", [True, False])
def test_a_job_ends_with_its_snakemake(copy, server):
    (copy / RUN / "metrics/finetune.json").unlink()
    given = forked() if server else environment(UNLABEL_FORK_SERVER="none")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(
        command("--cores", "1", f"{RUN}/metrics/finetune.json"), cwd=copy, env=given, **quiet
    )
    begun(copy, "finetune", running)
    running.send_signal(signal.SIGKILL)
    running.wait()
    until = time.monotonic() + 10
    while jobs(copy, "finetune") and time.monotonic() < until:
        time.sleep(0.05)
    assert jobs(copy, "finetune") == []
    assert not (copy / RUN / "metrics/finetune.json").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes there")
def test_what_outlives_its_snakemake_does_not_overwrite_what_is_made_later(copy):
    """Stopped, a job cannot end with its Snakemake; it wakes when other settings are in force."""
    target = f"{RUN}/metrics/finetune.json"
    (copy / target).unlink()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    given = environment(UNLABEL_FORK_SERVER="none", **STAND_IN)
    first = subprocess.Popen(command("--cores", "1", target), cwd=copy, env=given, **quiet)
    begun(copy, "finetune", first)
    left = jobs(copy, "finetune")
    for each in left:
        os.kill(each, signal.SIGSTOP)
    first.kill()
    first.wait()
    replace(copy / "params/budget/tiny.yaml", "steps: [4, 4, 4]", "steps: [2, 2, 2]")
    snakemake(copy, "--cores", "1", target)
    made = (copy / target).read_bytes()
    for each in left:
        os.kill(each, signal.SIGCONT)
    until = time.monotonic() + 60
    while jobs(copy, "finetune"):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (copy / target).read_bytes() == made
    assert "Nothing to be done" in snakemake(copy, "-n", target)


def test_a_process_that_is_over_already_ends_its_jobs():
    ended = subprocess.Popen(["true"])
    ended.wait()
    code = "import time; from unlabel.workflow import lifeline; lifeline.take(); time.sleep(60)"
    offered = environment(**{lifeline.ENVIRONMENT: str(ended.pid)})
    assert subprocess.run(["python", "-c", code], env=offered).returncode == -signal.SIGKILL


def begun(folder: Path, stage: str, running: subprocess.Popen) -> None:
    """Wait until a job is there."""
    while not jobs(folder, stage):
        assert running.poll() is None
        time.sleep(0.02)


def jobs(folder: Path, stage: str) -> list[int]:
    """The processes in a folder that do a stage or wait for it."""
    found = []
    for number in within(folder):
        try:
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"unlabel" in words and stage.encode() in words:
            found.append(number)
    return found
