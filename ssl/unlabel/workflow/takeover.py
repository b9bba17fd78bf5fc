"""What the Snakefile tells its jobs."""

import atexit
import fcntl
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from unlabel.errors import UserError
from unlabel.run import ASIDE, TRAINED
from unlabel.workflow import slurm, submissions
from unlabel.workflow.engine import records
from unlabel.workflow.plan import ENVIRONMENT

ROOM = 1 << 20  # bytes that are too few for anything


def is_job() -> bool:
    """Is this process a job of a workflow that runs, and not the one who began it?"""
    return ENVIRONMENT in os.environ


def use_this_python() -> None:
    """Let jobs find the `python` and the package that this process runs, activated or not."""
    here = str(Path(sys.executable).parent)
    if here not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{here}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])


def say_if_full() -> None:
    """Where the disk is full in the end, let that be the last word.

    Snakemake's own log is on it, too, and Python would show a traceback for each line that is lost.
    """
    logging.raiseExceptions = False

    def say() -> None:
        if shutil.disk_usage(folder).free < ROOM:
            where = f"no room is left on the disk of {folder}"
            print(f"error: {where}; make room there and start again", file=sys.stderr)

    folder = Path.cwd()
    atexit.register(say)


def check_folders(files: Iterable[str]) -> None:
    """Raise `UserError` if the folder of a file that is to be made may not be written.

    Snakemake would make folders, take away old outputs and write logs, and fail with a traceback.
    """
    for folder in dict.fromkeys(Path(file).parent for file in files):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            where = there.absolute()
            raise UserError(f"cannot write in {where}: Permission denied; permit it, start again")


def take_over(looking: bool, folder: Path = Path(".snakemake")) -> IO[str]:
    """Clear away what a Snakemake that was killed has left: its locks, jobs and half-made outputs.

    Each Snakemake shares a lock of the operating system as long as it lives, and clears away only
    where it is the only one. Keep what is returned. One that is only `looking`, such as a dry run,
    leaves all as it is while jobs are in Slurm's queue. Raises `UserError` where there may be some,
    but Slurm does not answer.
    """
    folder.mkdir(exist_ok=True)
    alive = (folder / "alive").open("w")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another one lives; whether it stands in the way, Snakemake will say
        pass
    else:
        if looking and (left := slurm.left(Path.cwd())):
            print(f"jobs that an earlier Snakemake left in Slurm: {len(left)}", file=sys.stderr)
        else:
            _clear(folder, looking)
    with suppress(OSError):  # a network's file system may have no locks
        fcntl.flock(alive, fcntl.LOCK_SH)  # waits for one that clears away at this moment
    return alive


def _clear(folder: Path, looking: bool) -> None:
    if not looking:
        slurm.end(Path.cwd())
        for unseen in submissions.unseen():
            _remove(unseen)
        submissions.forget()
    for lock in (folder / "locks").glob("*.lock"):
        lock.unlink()
    for output, mark in records.read(folder / "incomplete"):
        _remove(Path(output))
        mark.unlink()


def _remove(output: Path) -> None:
    """Remove what may be half of a job's outputs; but a whole training is put aside, to go on from.

    Snakemake would otherwise remove it when it starts the job anew.
    """
    aside = output.parent / ASIDE
    whole = output.with_name(TRAINED[-1]).exists() or (aside / TRAINED[-1]).exists()
    if whole and output.name in TRAINED and output.exists():
        aside.mkdir(exist_ok=True)
        output.replace(aside / output.name)
    else:
        output.unlink(missing_ok=True)
