"""A run's name is part of the names of files, which have at most 255 bytes."""

import os
from collections.abc import Iterable

from unlabel.errors import UserError
from unlabel.run import Run

LONGEST = 255
HOST = 64  # the longest name of a machine, which is part of a temporary file's: see `files.whole`
PROCESS = 7  # digits of a process's number


def check(run: Run, others: Iterable[str]) -> None:
    """Raise `UserError` if the file of a run's metrics, or a log, could not be written.

    `others` are the probes and the datasets that are part of a log's name besides the run's parts.
    """
    part = f".{run.variant}.{'h' * HOST}-{'1' * PROCESS}.part.json"  # in reports/metrics
    last = max(others, key=len, default="")
    log = f"{run.folder.replace('/', '-')}-{last}.log"
    over = max(len(os.fsencode(name)) for name in (part, log)) - LONGEST
    if over > 0:
        raise UserError(
            f"the run {run.folder} has a name that is too long for its files, by {over} of "
            f"{LONGEST} bytes; write some of its settings into a recipe, params/method/mine.yaml"
        )
