"""One lock is never held twice at once, on one machine or on several."""

import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.cluster import needs_slurm, running
from unlabel.errors import UserError
from unlabel.files import lock

DOING = "trains the run of state"
HOLD = """
import sys, time
from pathlib import Path
from unlabel.files import lock
lock.BEAT = 0.1
with lock.acquire(Path(sys.argv[1]), "holds"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Slurm that runs, beside that of other tests."""
    with running(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's state, and a lock that looks at other machines more often than in earnest."""
    monkeypatch.setattr(lock, "SECONDS", 0.05)
    monkeypatch.setattr(lock, "SILENCE", 1.0)
    monkeypatch.setattr(lock, "PATIENCE", 2.0)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def holder(state: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the state."""
    words = [sys.executable, "-c", HOLD, str(state / "lock")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def trains(state: Path) -> Iterator[Callable[[], threading.Event]]:
    """Starts a training, and gives what is set once it holds the state."""
    got, end = threading.Event(), threading.Event()

    def train() -> None:
        with lock.acquire(state / "lock", DOING):
            got.set()
            end.wait(60)

    def ask() -> threading.Event:
        thread.start()
        return got

    thread = threading.Thread(target=train)
    yield ask
    end.set()
    if thread.ident:
        thread.join()


def elsewhere(state: Path, text: str | None = None) -> None:
    """Let the lock be one that another machine holds: named so, and unseen by this system.

    The system's lock is on the file as it was, so a copy in its place is not locked.
    """
    path = state / "lock"
    if text is None:
        text = path.read_text().replace(platform.node(), "elsewhere")
    path.with_name("copy").write_text(text)
    path.with_name("copy").replace(path)


def submit(*words: str) -> str:
    """The id of a Slurm job that runs."""
    command = ["sbatch", "--parsable", "--chdir", "/tmp", "--output", "/dev/null", *words]
    job = subprocess.check_output([*command, "--wrap", "sleep 600"], text=True).strip()
    state = ["squeue", "--noheader", "--jobs", job, "--format", "%T"]
    until = time.monotonic() + 60
    while subprocess.check_output(state, text=True) != "RUNNING\n":
        assert time.monotonic() < until
        time.sleep(0.05)
    return job


def test_processes_of_one_machine_take_turns(tmp_path, capsys):
    order = []

    def train(name):
        with lock.acquire(tmp_path / "state/lock", DOING):
            order.append(f"{name} begins")
            time.sleep(0.5)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=train, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = order[0][0], order[2][0]
    assert order == [f"{first} begins", f"{first} ends", f"{second} begins", f"{second} ends"]
    assert "waiting for another process" in capsys.readouterr().err


def test_a_holder_killed_on_this_machine_is_over_at_once(state, holder, trains, capsys):
    got = trains()
    assert not got.wait(0.5)
    holder.kill()
    assert got.wait(0.9)  # and so before `SILENCE` is over
    assert "waiting for another process" in capsys.readouterr().err


def test_a_holder_that_ended_by_itself_is_not_waited_for(state):
    with lock.acquire(state / "lock", DOING):
        assert (state / "lock").read_text() == f" {platform.node()}"
    assert not (state / "lock").exists()
    with pytest.raises(KeyboardInterrupt), lock.acquire(state / "lock", DOING):
        raise KeyboardInterrupt
    assert not (state / "lock").exists()


def test_who_has_waited_holds_the_file_that_others_see(state, trains):
    with lock.acquire(state / "lock", DOING):
        got = trains()
        assert not got.wait(0.3)
    assert got.wait(5)
    with (state / "lock").open("r+") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_holder_on_another_machine_is_waited_for_while_it_shows_life(
    state, holder, trains, capsys
):
    elsewhere(state)
    got = trains()
    assert not got.wait(3)
    holder.send_signal(signal.SIGKILL)
    assert got.wait(20)
    assert capsys.readouterr().err.count("waiting for another process") == 1
    assert (state / "lock").read_text() == f" {platform.node()}"


@needs_slurm
def test_the_job_of_another_machine_is_waited_for(slurm, state, trains, monkeypatch, capsys):
    job = submit()
    (state / "lock").write_text(f"{job} elsewhere")
    monkeypatch.setenv("SLURM_JOB_ID", f"{job}0")
    got = trains()
    assert not got.wait(1)
    subprocess.check_call(["scontrol", "suspend", job])  # and so without a sign of life
    assert not got.wait(2)
    subprocess.check_call(["scancel", job])
    assert got.wait(120)
    assert capsys.readouterr().err.count("waiting for another process") == 1
    assert (state / "lock").read_text() == f"{job}0 {platform.node()}"


@needs_slurm
@pytest.mark.parametrize("text", ["999999 elsewhere", "999999"])
def test_a_job_that_slurm_does_not_know_is_over(slurm, state, text):
    (state / "lock").write_text(text)
    began = time.monotonic()
    with lock.acquire(state / "lock", DOING):
        assert time.monotonic() - began < 2.0


@needs_slurm
def test_a_requeued_job_does_not_wait_for_itself(slurm, state, monkeypatch):
    job = submit()
    (state / "lock").write_text(f"{job} elsewhere")
    monkeypatch.setenv("SLURM_JOB_ID", job)
    with lock.acquire(state / "lock", DOING):
        pass
    subprocess.check_call(["scancel", job])


@needs_slurm
def test_slurm_may_be_away_for_a_while(slurm, state, trains, monkeypatch, capsys):
    """While it does not answer, nobody trains; then it says that the job is over."""
    monkeypatch.setattr(lock, "PATIENCE", 120.0)
    (state / "lock").write_text("999999 elsewhere")
    with ExitStack() as stopped:
        control = int((slurm / "slurmctld.pid").read_text())
        os.kill(control, signal.SIGSTOP)
        stopped.callback(os.kill, control, signal.SIGCONT)
        got = trains()
        assert not got.wait(2)
    assert got.wait(60)


@needs_slurm
def test_a_slurm_that_cannot_be_reached_is_a_refusal(slurm, state, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    conf = re.sub(r"SlurmctldPort=\d+", "SlurmctldPort=1", (slurm / "slurm.conf").read_text())
    (tmp_path / "slurm.conf").write_text(f"{conf}\nMessageTimeout=2\n")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    (state / "lock").write_text("7 gpu1")
    said = r"Slurm job 7 on gpu1 still trains the run of state: slurm_load_jobs.*; if that job is"
    with pytest.raises(UserError, match=said), lock.acquire(state / "lock", DOING):
        raise AssertionError("trained twice")
    assert (state / "lock").read_text() == "7 gpu1"


def test_without_squeue_a_job_of_another_machine_is_a_refusal(state, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 600.0)  # which is not waited for
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("squeue") is None
    (state / "lock").write_text("7 gpu1")
    said = "squeue is not on the PATH of this machine; if that job is over, delete .*lock and start"
    with pytest.raises(UserError, match=said), lock.acquire(state / "lock", DOING):
        raise AssertionError("trained twice")
    (state / "lock").write_text(f"7 {platform.node()}")  # whom the system's lock would show
    with lock.acquire(state / "lock", DOING):
        pass
