"""A job names a file as an output only if its own workflow still waits for that.

Snakemake marks the outputs of the jobs that it has started. The mark also names the plan, which has
all settings and the fingerprints of the code. A job that was left behind by a Snakemake of another
plan finds another mark, or none and the output made: what it has is no longer wanted.

Of several jobs that write one output, one looks at the mark and names its file at a time. None
waits before that: what a job left behind still computes need not be waited for.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unlabel import files
from unlabel.errors import UserError
from unlabel.files import FROZEN, lock
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS, UNFINISHED

PLAN = "UNLABEL_PLAN"  # as in `unlabel.workflow.plan`
LOCKS = FROZEN / "locks"  # of outputs that are being named


def install() -> None:
    """Guard the outputs that this process writes, if it is a job."""
    if os.environ.get(PLAN) and alone not in files.guards:
        files.guards.append(alone)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other jobs from naming the output `path`, on whichever machine they are.

    Raises `UserError` if no Snakemake wants it of this process.
    """
    output = str(path)
    if not any(records.place(folder, output).exists() for folder in (UNFINISHED, RECORDS)):
        yield  # a file that no job makes
        return
    with lock.acquire(records.place(LOCKS, output), f"writes {output}"):
        _check(output)
        yield


def _check(output: str) -> None:
    mark = records.place(UNFINISHED, output)
    try:
        plan = json.loads(mark.read_text(encoding="utf-8")).get("plan")
    except FileNotFoundError:
        if records.place(RECORDS, output).exists():
            raise UserError(
                f"{output} has been made by another job; this one is left over"
            ) from None
        return  # a job that failed was to make it
    except (ValueError, AttributeError):
        return  # the mark is just being written
    if plan not in (None, os.environ[PLAN]):
        raise UserError(f"{output} is made by another workflow by now; this job is left over")
