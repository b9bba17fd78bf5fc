"""The leaderboard of the runs that are finished, where other runs have failed."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from unlabel import files
from unlabel.params import planned_code
from unlabel.run import Run
from unlabel.workflow.plan import ENVIRONMENT

WITHOUT = files.FROZEN / "without.json"  # the runs that it is made without


def write(plan: Mapping[str, str], runs: Sequence[Run], unfinished: Mapping[Run, str]) -> None:
    """Write the report of the `runs` that are not `unfinished`, which it names.

    `plan` is the parameters of the rule `report`. Snakemake does not know of what is written here,
    and so makes the report again as soon as it can.
    """
    missing = {run: why for run, why in unfinished.items() if run in runs}
    if missing:
        print(_write(plan, len(runs), missing), file=sys.stderr)


def _write(plan: Mapping[str, str], asked: int, missing: Mapping[Run, str]) -> str:
    """Write it -> what to say of it."""
    names = ", ".join(dict.fromkeys(run.method for run in missing))
    if len(missing) == asked:
        return "no run is finished, so there is no leaderboard"
    files.write_json(WITHOUT, {run.folder: why for run, why in missing.items()})
    folders = {"runs": "data/runs", "prepared": "data/prepared", "out": "reports"}
    flags = {"params": plan["settings"], **folders, "without": str(WITHOUT)}
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    environment = os.environ | {planned_code.ENVIRONMENT: plan["code"]}
    del environment[ENVIRONMENT]  # no job of the workflow: it may write what another job has made
    done = subprocess.run(
        [sys.executable, "-m", "unlabel", "report", *words],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ")
        return f"the leaderboard without {names} could not be made: {last}"
    return f"reports/index.html is the leaderboard without {names}, and says why"
