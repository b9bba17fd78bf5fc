"""What a Snakemake that was killed has left behind: locks, jobs in Slurm, half-made outputs."""

import fcntl
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from unlabel.errors import UserError
from unlabel.run import ASIDE, TRAINED
from unlabel.workflow import remote_jobs, slurm
from unlabel.workflow.engine import records
from unlabel.workflow.engine.corrections import Corrections
from unlabel.workflow.engine.records import UNFINISHED

ALIVE = Path(".snakemake/alive")  # each Snakemake that runs jobs shares a lock on it while it lives


def take_over() -> IO[str]:
    """Clear up before a run, if no other Snakemake lives here; keep open what is returned.

    Jobs in Slurm are ended. Outputs that a job may have half made keep Snakemake's mark or get one,
    so that it makes them again (`rerun-incomplete` in the profile). A whole training is put aside,
    so that Snakemake does not remove it and the next job can take it back.

    Raises `UserError` if there may be jobs in Slurm, but Slurm does not answer.
    """
    from unlabel.workflow.engine import persistence  # after this Snakemake was found to be known

    ALIVE.parent.mkdir(exist_ok=True)
    alive = ALIVE.open("w")
    if _lock(alive, fcntl.LOCK_EX):  # otherwise another one lives: Snakemake says if it matters
        slurm.end()
        Corrections(unfinished=set(remote_jobs.unrecorded())).write()
        remote_jobs.forget()
        for target, _ in records.read(UNFINISHED):
            _put_aside(Path(target))
        persistence.remove_locks()
    with suppress(OSError):  # a network's file system may have no locks
        fcntl.flock(alive, fcntl.LOCK_SH)  # waits while another one clears up
    return alive


def look(found: Corrections) -> None:
    """Add to `found` what `take_over` would do, for a look."""
    if ALIVE.exists():
        with ALIVE.open() as alive:
            if not _lock(alive, fcntl.LOCK_EX):
                return
    try:
        if left := slurm.left():
            print(f"jobs that an earlier Snakemake left in Slurm: {len(left)}", file=sys.stderr)
    except UserError as error:
        print(f"jobs of an earlier Snakemake may be in Slurm: {error}", file=sys.stderr)
    found.unfinished.update(remote_jobs.unrecorded())
    found.ignore_locks = True


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _put_aside(output: Path) -> None:
    """Move an output of a training that ended, and whose end no Snakemake has seen."""
    aside = output.parent / ASIDE
    whole = output.with_name(TRAINED[-1]).exists() or (aside / TRAINED[-1]).exists()
    if whole and output.name in TRAINED and output.exists():
        aside.mkdir(exist_ok=True)
        output.replace(aside / output.name)
