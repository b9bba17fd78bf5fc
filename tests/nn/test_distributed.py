"""Two processes that train together come to what one does with the whole batch."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import yaml

from support import project
from support.models import PRETRAIN, about, composed
from support.project import ROOT, snakemake
from support.together import CASES
from support.working import within
from unlabel import weights
from unlabel.data.images import write
from unlabel.errors import UserError
from unlabel.training import launch
from unlabel.training.loop import Training

ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT / "ssl"), str(ROOT / "tests")]),
    "OMP_NUM_THREADS": "1",
    "UNLABEL_CHECKPOINT_SECONDS": "0.05",
}
# Of processes that only stand for forks. These die with them, but do not stop with them, and do not
# see who started them.
STAND_IN = {
    "PYTHONPATH": os.pathsep.join([project.STAND_IN["PYTHONPATH"], ENVIRONMENT["PYTHONPATH"]])
}


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Iterator[Path]:
    """What two processes made of every case, 600 MB."""
    folder = tmp_path_factory.mktemp("together")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, str(ROOT / "tests/support/together.py"), str(folder)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_processes_train_as_one_does(case, together):
    first, second, alone = (
        weights.read(together / f"{case.name}.{which}")[0] for which in (0, 1, "alone")
    )
    assert first.keys() == second.keys() == alone.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    for key, expected in alone.items():
        start = alone.get(f"before {key}", torch.zeros_like(expected))
        moved, other = (each.double() - start.double() for each in (expected, first[key]))
        assert (moved - other).norm() <= 1e-6 * moved.norm() + 1e-9, key
    encoder = [key for key in alone if key.startswith("encoder.") and f"before {key}" in alone]
    assert any(not torch.equal(alone[key], alone[f"before {key}"]) for key in encoder)


def test_batch_norm_in_parts_that_do_not_divide_is_refused(together):
    for rank in (0, 1):
        said = (together / f"splits.{rank}").read_text()
        assert said.startswith("method.splits is 3, which does not divide among 2 processes")


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match=r"training.batch \(64\).*training.processes \(3\)"):
        Training(epochs=1, batch=64, processes=3).steps(100)


@pytest.fixture
def folder(digits, tmp_path):
    """A prepared dataset, and settings of a run of 100 steps in two processes."""
    write(tmp_path / "train.arrow", digits, about(digits))
    settings = composed("simclr")
    settings["training"] |= {"epochs": 50, "batch": 128, "processes": 2}
    content = {"run": "test", **{key: settings[key] for key in PRETRAIN}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    yield tmp_path
    for process in workers(tmp_path):  # none, where the test passed
        os.kill(process, signal.SIGKILL)


def job(folder: Path, out: str = "run", forked: bool = True) -> subprocess.Popen:
    flags = {"params": "params.yaml", "train": "train.arrow", "state": f"{out}.state", "out": out}
    words = [word for key, value in flags.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "unlabel", "pretrain", *words]
    with (folder / "said").open("w") as said:
        given = ENVIRONMENT | (STAND_IN if forked else {})
        return subprocess.Popen(command, cwd=folder, env=given, stderr=said)


def workers(folder: Path) -> list[int]:
    """The processes that train in the folder, by their rank."""
    found = {}
    for number in within(folder):
        try:
            variables = Path(f"/proc/{number}/environ").read_bytes().decode().split("\0")
        except OSError:
            continue
        for variable in variables:
            if variable.startswith("RANK="):
                found[variable] = number
    return [found[rank] for rank in sorted(found)]


def wait_for(condition) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def goes_on(process: subprocess.Popen, folder: Path) -> None:
    """Wait until a state is saved that was not there before."""
    state = folder / "run.state/state.safetensors"
    before = state.stat().st_mtime_ns if state.exists() else 0
    wait_for(
        lambda: process.poll() is not None or (state.exists() and state.stat().st_mtime_ns > before)
    )
    assert process.poll() is None, (folder / "said").read_text()


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to find the processes")
def test_ended_in_any_way_it_goes_on_to_the_same_bits(folder):
    process = job(folder)  # one of the two is killed
    goes_on(process, folder)
    os.kill(workers(folder)[1], signal.SIGKILL)
    assert process.wait() == 1
    said = (folder / "said").read_text()
    assert said.splitlines()[-1].startswith("error: process 1 was ended by SIGKILL")
    assert "Traceback" not in said
    assert workers(folder) == []

    process = job(folder)  # it is asked to stop
    goes_on(process, folder)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    said = (folder / "said").read_text()
    assert said.count("going on after step") == said.count("stopped after step") == 1
    assert workers(folder) == []

    process = job(folder, forked=False)  # who watches over them is killed
    goes_on(process, folder)
    process.kill()
    process.wait()
    wait_for(lambda: not workers(folder))

    alone = yaml.safe_load((folder / "params.yaml").read_text())
    alone["training"]["processes"] = 1
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(yaml.safe_dump(alone, sort_keys=False))
    assert job(folder).wait() == 1
    said = (folder / "said").read_text()
    assert "settings.training.processes is 2 there and 1 here" in said
    (folder / "params.yaml").write_text(text)

    assert job(folder).wait() == 0, (folder / "said").read_text()
    assert job(folder, "straight").wait() == 0, (folder / "said").read_text()
    for name in ("encoder.safetensors", "method.safetensors", "log.parquet", "pictures.parquet"):
        assert (folder / "run" / name).read_bytes() == (folder / "straight" / name).read_bytes()
    assert not (folder / "run.state").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to find the processes")
def test_a_process_that_hangs_ends_them_all(folder, monkeypatch):
    assert timedelta(minutes=1) < launch.PATIENCE <= timedelta(minutes=30)
    monkeypatch.setitem(ENVIRONMENT, "UNLABEL_PATIENCE_SECONDS", "3")
    monkeypatch.setitem(ENVIRONMENT, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "1")  # it hears no SIGTERM
    process = job(folder, forked=False)
    goes_on(process, folder)
    os.kill(workers(folder)[1], signal.SIGSTOP)
    assert process.wait(timeout=60) == 1
    said = (folder / "said").read_text().splitlines()[-1]
    assert said.startswith("error: a process did not answer the others for 0.05 minutes, so all")
    assert workers(folder) == []


def test_who_waits_for_another_training_of_the_run_starts_no_processes(folder):
    first = job(folder)
    goes_on(first, folder)
    text = (folder / "said").read_text()
    second = job(folder)
    wait_for(lambda: "waiting for another process" in (folder / "said").read_text())
    assert len(workers(folder)) == 2, text
    for each in (second, first):
        each.send_signal(signal.SIGTERM)
        each.wait()
    assert workers(folder) == []


def test_several_machines_need_slurm(folder, monkeypatch):
    for name in [name for name in ENVIRONMENT if name.startswith("SLURM")]:
        monkeypatch.delitem(ENVIRONMENT, name)
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings["training"]["nodes"] = 2
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    assert job(folder).wait() == 1
    said = (folder / "said").read_text()
    assert said.startswith("error: training.nodes is 2, but this is no job of Slurm; start the wor")


def test_what_one_process_finds_wrong_is_said_once(folder):
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings["training"]["batch"], settings["run"] = 1000, "training.batch=1000"
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    assert job(folder).wait() == 1
    expected = "error: training.batch is 1000, but there are only 256 images to train on"
    assert (folder / "said").read_text().startswith(expected)
    assert (folder / "said").read_text().count("\n") == 1


def test_memory_that_is_short_in_them_is_one_sentence_and_nothing_is_left(folder, monkeypatch):
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings["method"]["width"] = 1 << 44
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder / "tmp").mkdir()
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(folder / "tmp"))
    assert job(folder).wait() == 1
    (said,) = (folder / "said").read_text().splitlines()
    assert said.startswith("error: memory is short (")
    assert said.endswith("and start again")
    assert [*(folder / "tmp").iterdir()] == []


def test_the_rule_asks_for_as_many_gpus_and_threads(copy):
    target = "data/runs/tiny/digits/simclr/training.processes=2/0/run.json"
    # This machine need not have a GPU, and a dry run gives no rule more threads than its --cores.
    cluster = ("--executor", "slurm", "--jobs", "2", "--cores", "2")
    said = snakemake(copy, "-pn", *cluster, "--config", "gpu=1", "--", target)
    start = said.index("rule pretrain_simclr")
    rule = said[start : said.index("\n\n", start)]
    assert "threads: 2" in rule
    assert "gpu=2" in rule
    assert "mem_mb=16000" in rule
