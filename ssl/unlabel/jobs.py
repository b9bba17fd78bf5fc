"""What the Snakefile tells its jobs."""

import atexit
import fcntl
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from unlabel import records, slurm, study, submitted
from unlabel.errors import UserError
from unlabel.plan import ENVIRONMENT
from unlabel.run import ASIDE, TRAINED

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


def overwrite_links() -> None:
    """Let Snakemake replace outputs that are write-protected, as DVC's hard links are.

    It removes an output before its job, and a stage writes to a new file, so what they link to is
    left alone. No rule here asks Snakemake itself to protect anything.
    """
    from snakemake.io import _IOFile

    async def protected(_: _IOFile) -> bool:
        return False

    _IOFile.protected = protected


def explain_lock() -> None:
    """Let Snakemake say in one sentence that another one is at work.

    Its own advice is to take away the lock, or to make again what is incomplete; here only a
    Snakemake that lives holds a lock, or has outputs that are incomplete.
    """
    from snakemake.exceptions import IncompleteFilesException, LockException

    def explain(self: Exception, *_: Any) -> None:
        where = f"another Snakemake makes the same files in {Path.cwd()}"
        super(type(self), self).__init__(f"error: {where}; wait until it ends, or stop it")

    LockException.__init__ = IncompleteFilesException.__init__ = explain


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
        for unseen in submitted.unseen():
            _remove(unseen)
        submitted.forget()
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


def studies(targets: Iterable[str], params: Path) -> list[str]:
    """The studies of params/study that Snakemake's `targets` are about."""
    found = []
    for target in targets:
        if target.startswith("reports/study/"):
            found.append(Path(target).stem)
        elif target.startswith("reports/statements."):
            found += study.stated(params)
    return list(dict.fromkeys(found))


def gpus(cluster: bool) -> int:
    """What a training asks for: 1 on a cluster, and where this machine has an NVIDIA GPU, else 0.

    Asked of the system, as loading torch takes two seconds.
    """
    return int(cluster or Path("/dev/nvidia0").exists())


def more(amount: int | Callable[[Any], int]) -> Callable[[Any, int], int]:
    """A resource of a rule, for all jobs or by their wildcards, doubled for each new attempt."""

    def needed(wildcards: Any, attempt: int) -> int:
        first = amount(wildcards) if callable(amount) else amount
        return first * 2 ** (attempt - 1)

    return needed
