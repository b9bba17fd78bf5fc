"""A job names a file as an output only if its own workflow still waits for that.

Snakemake marks the outputs of the jobs that it has started. The mark also names the plan, which has
all settings and the fingerprints of the code. A job that was left behind by a Snakemake of another
plan finds another mark, or none and the output made: what it has is no longer wanted.
"""

import json
import os
from pathlib import Path

from unlabel import files
from unlabel.errors import UserError
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS, UNFINISHED

PLAN = "UNLABEL_PLAN"  # as in `unlabel.workflow.plan`


def install() -> None:
    """Have `check` called before this process gives a file its name, if it is a job."""
    if os.environ.get(PLAN) and check not in files.check_wanted:
        files.check_wanted.append(check)


def check(path: Path) -> None:
    """Raise `UserError` if a file is an output that no Snakemake wants of this process."""
    mark = records.place(UNFINISHED, str(path))
    try:
        plan = json.loads(mark.read_text(encoding="utf-8")).get("plan")
    except FileNotFoundError:
        if records.place(RECORDS, str(path)).exists():
            raise UserError(f"{path} has been made by another job; this one is left over") from None
        return  # no output
    except (ValueError, AttributeError):
        return  # it is just being written, or by a Snakemake on another machine
    if plan not in (None, os.environ[PLAN]):
        raise UserError(f"{path} is made by another workflow by now; this job is left over")
