"""What the Snakefile tells its jobs."""

import fcntl
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from unlabel import records, study
from unlabel.plan import ENVIRONMENT


def is_job() -> bool:
    """Is this process a job of a workflow that runs, and not the one who began it?"""
    return ENVIRONMENT in os.environ


def use_this_python() -> None:
    """Let jobs find the `python` and the package that this process runs, activated or not."""
    here = str(Path(sys.executable).parent)
    if here not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{here}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])


def overwrite_links() -> None:
    """Let Snakemake replace outputs that are write-protected, as DVC's hard links are.

    It removes an output before its job, and a stage writes to a new file, so what they link to is
    left alone. No rule here asks Snakemake itself to protect anything.
    """
    from snakemake.io import _IOFile

    async def protected(_: _IOFile) -> bool:
        return False

    _IOFile.protected = protected


def take_over(folder: Path = Path(".snakemake")) -> IO[str]:
    """Clear away what a Snakemake that was killed has left: its locks, and half-made outputs.

    Each Snakemake shares a lock of the operating system as long as it lives, and clears away only
    where it is the only one. Keep what is returned.
    """
    folder.mkdir(exist_ok=True)
    alive = (folder / "alive").open("w")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another one lives; whether it stands in the way, Snakemake will say
        pass
    else:
        for lock in (folder / "locks").glob("*.lock"):
            lock.unlink()
        for output, mark in records.read(folder / "incomplete"):
            Path(output).unlink(missing_ok=True)
            mark.unlink()
    with suppress(OSError):  # a network's file system may have no locks
        fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return alive


def studies(targets: Iterable[str], params: Path) -> list[str]:
    """The studies of params/study that Snakemake's `targets` are about."""
    found = []
    for target in targets:
        if target.startswith("reports/study/"):
            found.append(Path(target).stem)
        elif target.startswith("reports/statements."):
            found += study.stated(params)
    return list(dict.fromkeys(found))


def gpus() -> int:
    """1 where this machine has an NVIDIA GPU, else 0: what a training job asks for.

    Asked of the system, as loading torch takes two seconds.
    """
    return int(Path("/dev/nvidia0").exists())
