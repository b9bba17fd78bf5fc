"""A job that a fork of the server does is the job that the process itself would have done."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import pytest
import yaml

from support.models import PRETRAIN, about, composed
from support.project import ROOT
from support.working import within
from unlabel.data import images
from unlabel.params.placement import SLOTS
from unlabel.workflow import devices, forkserver, lifeline, slots

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to look at a fork")


@contextmanager
def serving(**more: str) -> Iterator[dict[str, str]]:
    """An environment in which jobs find a server, which ends with its starter."""
    counts = {f"{name}_NUM_THREADS": "1" for name in forkserver.COUNTS}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KMP_")}  # set by scikit-learn
    environment = {**kept, **counts, "PYTHONPATH": str(ROOT / "ssl"), **more}
    start = (
        "import os; from unlabel.workflow import forkserver as f; f.start(1);"
        " print(os.environ[f.ENVIRONMENT], flush=True); input()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", start],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = starter.stdout.readline().strip()
    yield {**environment, forkserver.ENVIRONMENT: path}
    starter.kill()
    said = starter.communicate()[1]
    assert "Warning" not in said  # newer Pythons warn of threads where there is a fork
    wait_for(lambda: not Path(path).exists())  # the server has cleared away and ended


@pytest.fixture(scope="module")
def server():
    with serving() as environment:
        yield environment


@pytest.fixture
def folder(digits, tmp_path):
    """A prepared dataset, and settings of a run of about a thousand steps."""
    images.write(tmp_path / "train.arrow", digits, about(digits))
    settings = composed("simclr")
    settings["training"] |= {"epochs": 1000}
    content = {"run": "test", **{key: settings[key] for key in PRETRAIN}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def job(folder: Path, environment: dict, *more: str, said: IO | None = None) -> subprocess.Popen:
    flags = {"params": "params.yaml", "train": "train.arrow", "state": "state", "out": "run"}
    words = [w for k, v in flags.items() for w in (f"--{k}", v)]
    command = [sys.executable, "-m", "unlabel", "pretrain", *words, *more]
    with nullcontext(said) if said else (folder / "said").open("w") as stream:
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=stream)


def fork_of(process: subprocess.Popen, folder: Path) -> int:
    """The other process that works in the folder."""
    return next((number for number in within(folder) if number != process.pid), 0)


def test_a_fork_works_where_and_how_the_process_was_asked_to(server, folder):
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings["training"] |= {"epochs": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    forked = job(folder, server)
    wait_for(lambda: fork_of(forked, folder))
    assert forked.wait() == 0
    assert "100%" in (folder / "said").read_text()  # the fork's progress, in this one's stream
    one = (folder / "run/encoder.safetensors").read_bytes()
    (folder / "run").rename(folder / "first")
    alone = job(folder, {k: v for k, v in server.items() if k != forkserver.ENVIRONMENT})
    assert alone.wait() == 0
    assert (folder / "run/encoder.safetensors").read_bytes() == one


def test_its_error_and_its_exit_status_are_passed_on(server, folder):
    (folder / "train.arrow").unlink()
    failed = job(folder, server)
    assert failed.wait() == 1
    assert (
        folder / "said"
    ).read_text() == "error: train.arrow does not exist: prepare the dataset first\n"
    misused = job(folder, server, "--nonsense")
    assert misused.wait() == 1


def test_a_long_path_for_temporary_files_is_none_for_a_socket(folder, tmp_path):
    (folder / "train.arrow").unlink()
    long = tmp_path / ("t" * 100)
    long.mkdir()
    with serving(TMPDIR=str(long)) as environment:
        assert Path(environment[forkserver.ENVIRONMENT]).parents[1] == Path("/tmp")
        assert not [*long.iterdir()]
        asked = job(folder, environment)
        wait_for(lambda: fork_of(asked, folder))
        assert asked.wait() == 1
    assert "train.arrow does not exist" in (folder / "said").read_text()


def test_who_asks_is_told_to_stop_and_so_is_the_fork(server, folder):
    asked = job(folder, server)
    wait_for(lambda: (folder / "state").exists())
    time.sleep(0.5)
    asked.send_signal(signal.SIGTERM)
    assert asked.wait() == 128 + signal.SIGTERM
    assert "start again to go on from there" in (folder / "said").read_text()
    assert (folder / "state/state.safetensors").exists()


def test_who_asks_is_killed_and_so_is_the_fork(server, folder):
    asked = job(folder, server)
    wait_for(lambda: (folder / "state").exists())
    fork = fork_of(asked, folder)
    assert fork
    asked.kill()
    asked.wait()
    wait_for(lambda: not Path(f"/proc/{fork}").exists())


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "was killed (signal 9), most likely because memory ran out"),
        (signal.SIGSEGV, "ended by signal 11 (Segmentation fault), inside a library"),
    ],
)
def test_a_killed_fork_is_told_of_by_the_exit_status(server, folder, number, said):
    asked = job(folder, server)
    wait_for(lambda: (folder / "state").exists())
    fork = fork_of(asked, folder)
    assert fork  # 0 would be this process and all that it started
    os.kill(fork, number)
    assert asked.wait() == 128 + number
    assert f"error: the job {said}" in (folder / "said").read_text()


def test_a_fork_holds_the_gpus_of_its_job_and_sees_no_others(server, folder, tmp_path):
    (tmp_path / "gpus").mkdir()
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / "gpus" / name).touch()
    given = {slots.ASKED: "1", slots.SHARE: str(SLOTS), lifeline.ENVIRONMENT: str(os.getpid())}
    given |= {devices.STAND_INS: str(tmp_path / "gpus"), devices.VISIBLE: "1"}
    asked = job(folder, server | given)
    wait_for(lambda: (folder / "state").exists())
    fork = fork_of(asked, folder)
    assert fork  # for which the server was not shown the same GPUs
    assert slots._lock_free("1", tmp_path / "gpus") == []
    opened = [str(each.readlink()) for each in Path(f"/proc/{fork}/fd").iterdir()]
    assert sum("gpu-1.slot-" in each for each in opened) == SLOTS
    asked.kill()
    asked.wait()
    chosen, held = slots.hold(["1"], 1, SLOTS, tmp_path / "gpus")
    for each in held:
        os.close(each)
    assert chosen == ["1"]


def test_a_job_whose_log_is_full_still_says_how_it_ended(server, folder):
    (folder / "train.arrow").unlink()
    for _ in range(2):  # and the server goes on
        with Path("/dev/full").open("w") as full:
            assert job(folder, server, said=full).wait() == 1
    assert Path(server[forkserver.ENVIRONMENT]).exists()


@pytest.mark.parametrize(
    "other", [{forkserver.ENVIRONMENT: "/nowhere/socket"}, {"OMP_NUM_THREADS": "2"}]
)
def test_without_a_server_that_suits_it_a_process_works_itself(server, folder, other):
    alone = job(folder, server | other)
    wait_for(lambda: (folder / "state").exists())
    assert not fork_of(alone, folder)
    alone.kill()
    alone.wait()


def test_the_libraries_start_no_threads_that_a_fork_would_lack():
    load = (
        "import importlib, json, os; from unlabel.workflow.forkserver import LIBRARIES, PAGES;"
        " [importlib.import_module(each) for each in LIBRARIES + PAGES];"
        " tasks = os.listdir('/proc/self/task');"
        " import torch; assert not torch.cuda.is_initialized();"  # nor could a fork use it then
        " print(json.dumps([open(f'/proc/self/task/{t}/comm').read() for t in tasks]))"
    )
    counts = {f"{name}_NUM_THREADS": "1" for name in forkserver.COUNTS}
    done = subprocess.run(
        [sys.executable, "-c", load],
        env={**os.environ, **counts, "PYTHONPATH": str(ROOT / "ssl")},
        capture_output=True,
        text=True,
        check=True,
    )
    threads = json.loads(done.stdout)
    # jemalloc starts its own again after a fork
    assert {name.strip() for name in threads} - {"python", "python3", "jemalloc_bg_thd"} == set()
