"""One process at a time trains a run."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 5.0  # between questions to Slurm
ALIVE = "RUNNING,COMPLETING,SUSPENDED,STOPPED,SIGNALING,RESIZING"


@contextmanager
def acquire(folder: Path) -> Iterator[None]:
    """Hold `folder` alone, until the block or the process ends, however it ends.

    Waits where another process holds it: one that a killed Snakemake has left behind, say. On a
    network's file system whose locks do not reach other machines, Slurm is asked about the job
    that last held the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = os.environ.get("SLURM_JOB_ID", "")
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say_waiting(folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # no locks at all
            pass
        file.seek(0)
        holder = file.read()
        if holder not in ("", job) and _runs(holder):
            _say_waiting(folder)
            while _runs(holder):
                time.sleep(SECONDS)
        folder.mkdir(exist_ok=True)  # the other one may have ended, and taken it away
        file.truncate(0)
        print(job, end="", file=file, flush=True)
        yield


def _say_waiting(folder: Path) -> None:
    print(f"waiting for another process, which trains the run of {folder}", file=sys.stderr)


def _runs(job: str) -> bool:
    """Does a job run now, as far as Slurm says? No where it is not there or does not answer."""
    command = ["squeue", "--noheader", "--jobs", job, "--states", ALIVE, "--format", "%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())
