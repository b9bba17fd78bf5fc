"""One process at a time does a thing, on whichever machine it is."""

import fcntl
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    """The process that holds a lock, or held it when it was killed."""

    job: str  # the id of its Slurm job, if it is one
    host: str


@contextmanager
def acquire(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path` alone until the block or the process ends, however it ends.

    Waits while another process holds it, such as one that a killed Snakemake left behind. `doing`
    says of a holder what it does, as in "trains the run of FOLDER". The file is there only while
    somebody holds it, or after a kill.

    The operating system's lock may not reach other machines. So the file names its holder, who
    touches it now and then. If the holder was on another machine, Slurm says whether its job runs;
    outside Slurm, a file that nobody touches any more does.

    Raises `UserError` if the holder was a Slurm job and Slurm does not say whether it still runs.
    """
    this = Holder(os.environ.get("SLURM_JOB_ID", ""), platform.node())
    with _taken(path, doing, this) as file:
        file.truncate(0)
        print(*this, end="", file=file, flush=True)
        ended = threading.Event()
        threading.Thread(target=_show_life, args=(path, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            if _is(file, path):
                path.unlink()


def held(path: Path) -> bool:
    """Does a process hold the lock file `path` now, here or on another machine?

    One on another machine that was killed counts until it has shown no life for `SILENCE`.
    """
    with path.open("r+", encoding="utf-8", errors="replace") as file:
        reaches = False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holder = _read(file)
            reaches = holder is None or holder.host == platform.node()
        except BlockingIOError:
            return True
        except OSError:  # the file system has no such locks
            pass
        return not reaches and time.time() - path.stat().st_mtime < SILENCE


def _taken(path: Path, doing: str, this: Holder) -> IO[str]:
    """The lock file, once no other process holds it."""
    while True:
        with ExitStack() as opened:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context(path.open("a+", encoding="utf-8", errors="replace"))
            locked = _lock(file, doing)
            if holder := _read(file):
                nearby = locked and holder.host == this.host  # so the system's lock says it is over
                requeued = holder.job == this.job != ""  # Slurm ends a job before it starts again
                if not nearby and not requeued:
                    _wait_for(holder, file, path, doing)
            if _is(file, path):
                opened.pop_all()
                return file
        # else its last holder has removed it, and nobody else would see that it is locked


def _lock(file: IO[str], doing: str) -> bool:
    """Take the system's lock, waiting for it if need be; False if the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say_waiting(doing)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _is(file: IO[str], path: Path) -> bool:
    """Is an open file the one at `path`?"""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _read(file: IO[str]) -> Holder | None:
    """The holder that a lock file names; None if the last one ended by itself."""
    file.seek(0)
    job, _, host = file.read().partition(" ")
    return Holder(job, host) if job or host else None


def _show_life(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(OSError):
            os.utime(path)


def _wait_for(holder: Holder, file: IO[str], path: Path, doing: str) -> None:
    """Return when a holder on another machine is over, or has removed the lock file.

    Raises `UserError` if nobody can tell.
    """
    until = time.monotonic() + (PATIENCE if which("squeue") else 0)
    alive = _in_slurm if holder.job else _shows_life
    said = False
    while _is(file, path):
        try:
            if not alive(holder, path, doing):
                return
            until = time.monotonic() + PATIENCE
        except UserError:
            if time.monotonic() >= until:
                raise
        if not said:
            _say_waiting(doing)
        said = True
        time.sleep(SECONDS)


def _shows_life(holder: Holder, path: Path, doing: str) -> bool:
    """Does a holder touch its lock file, or remove it?

    Watches for as long as `SILENCE`, by this clock alone.
    """
    touched, until = _touched(path), time.monotonic() + SILENCE
    while time.monotonic() < until:
        time.sleep(SECONDS)
        if _touched(path) != touched:
            return True
    return False


def _touched(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _in_slurm(holder: Holder, path: Path, doing: str) -> bool:
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
        f"cannot tell whether the Slurm job {holder.job}{where} still {doing}: {why}; "
        f"if that job is over, delete {path} and start again"
    )


def _say_waiting(doing: str) -> None:
    print(f"waiting for another process, which {doing}", file=sys.stderr)
