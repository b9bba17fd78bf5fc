"""One process at a time trains a run, on whichever machine it is."""

import fcntl
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import IO, NamedTuple

from unlabel.errors import UserError

SECONDS = 5.0  # between two looks at a holder on another machine
BEAT = 10.0  # seconds between two signs of life
SILENCE = 90.0  # seconds without a sign of life, after which a holder is over
PATIENCE = 300.0  # seconds that Slurm may fail to answer
ALIVE = "RUNNING,COMPLETING,SUSPENDED,STOPPED,SIGNALING,RESIZING"


class Holder(NamedTuple):
    """The process that holds a folder, or held it when it was killed."""

    job: str  # the id of its Slurm job, if it is one
    host: str


@contextmanager
def acquire(folder: Path) -> Iterator[None]:
    """Hold `folder` alone until the block or the process ends, however it ends.

    Waits while another process holds it, such as one that a killed Snakemake left behind. The
    operating system's lock may not reach other machines. So the lock file names its holder, who
    touches it now and then. If the holder was on another machine, Slurm says whether its job runs;
    outside Slurm, a file that nobody touches any more does.

    Raises `UserError` if the holder was a Slurm job and Slurm does not say whether it still runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    this = Holder(os.environ.get("SLURM_JOB_ID", ""), platform.node())
    with path.open("a+", encoding="utf-8", errors="replace") as file:
        locked = _lock(file, folder)
        holder = _read(file)
        if holder:
            nearby = locked and holder.host == this.host  # so the system's lock says it is over
            requeued = holder.job == this.job != ""  # Slurm ends a job before it starts it again
            if not nearby and not requeued:
                _wait_for(holder, path)
        folder.mkdir(exist_ok=True)  # the holder may have ended and removed it
        file.truncate(0)
        print(*this, end="", file=file, flush=True)
        ended = threading.Event()
        threading.Thread(target=_show_life, args=(path, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            file.truncate(0)


def _lock(file: IO[str], folder: Path) -> bool:
    """Take the system's lock, waiting for it if need be; False if the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say_waiting(folder)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _read(file: IO[str]) -> Holder | None:
    """The holder that a lock file names; None if the last one ended by itself."""
    file.seek(0)
    job, _, host = file.read().partition(" ")
    return Holder(job, host) if job or host else None


def _show_life(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(OSError):
            os.utime(path)


def _wait_for(holder: Holder, path: Path) -> None:
    """Return when a holder on another machine is over. Raises `UserError` if nobody can tell."""
    until = time.monotonic() + (PATIENCE if which("squeue") else 0)
    alive = _in_slurm if holder.job else _shows_life
    said = False
    while True:
        try:
            if not alive(holder, path):
                return
            until = time.monotonic() + PATIENCE
        except UserError:
            if time.monotonic() >= until:
                raise
        if not said:
            _say_waiting(path.parent)
        said = True
        time.sleep(SECONDS)


def _shows_life(holder: Holder, path: Path) -> bool:
    """Does a holder touch its lock file? Watches for as long as `SILENCE`, by this clock alone."""
    touched, until = path.stat().st_mtime_ns, time.monotonic() + SILENCE
    while time.monotonic() < until:
        time.sleep(SECONDS)
        if not path.exists() or path.stat().st_mtime_ns != touched:
            return path.exists()
    return False


def _in_slurm(holder: Holder, path: Path) -> bool:
    """Does Slurm run a holder's job? Raises `UserError` if Slurm does not say."""
    command = ["squeue", "--noheader", "--jobs", holder.job, "--states", ALIVE, "--format", "%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        why = "squeue is not on the PATH of this machine"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    else:
        if not done.returncode:
            return bool(done.stdout.strip())
        if "Invalid job id" in done.stderr:  # Slurm forgets jobs that are over
            return False
        why = (done.stderr.strip().splitlines() or [f"squeue ended with {done.returncode}"])[-1]
    where = f" on {holder.host}" if holder.host else ""
    raise UserError(
        f"cannot tell whether the Slurm job {holder.job}{where} still trains the run of "
        f"{path.parent}: {why}; if that job is over, delete {path} and start again"
    )


def _say_waiting(folder: Path) -> None:
    print(f"waiting for another process, which trains the run of {folder}", file=sys.stderr)
