"""What is asked of Slurm before a workflow starts: is it there, and what has an earlier one left?"""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from shutil import which
from typing import Any

import yaml

from unlabel.errors import UserError, nearest

PATIENCE = 120.0  # seconds; Slurm gives a job that is to end KillWait, 30 by default
_AGAIN = "see that it is up (scontrol ping), and start again: nothing is lost"


def check(partitions: Iterable[str]) -> None:
    """Raise `UserError` if Slurm cannot be reached from here, or has not these partitions."""
    for command in ("sbatch", "squeue", "sinfo", "scancel"):
        if which(command) is None:
            raise UserError(
                f"Slurm's {command} is not on this machine's PATH; start Snakemake on a login node "
                "of the cluster, or without the profile to run everything here"
            )
    known = _ask("sinfo", "--noheader", "--format", "%R").split()
    for partition in dict.fromkeys(partitions):
        if partition not in known:
            raise UserError(
                f"Slurm has no partition {partition!r}; {nearest(partition, known)} "
                "Name the cluster's own in workflow/profiles/slurm/partitions.yaml"
            )


def partitions(workflow: Any) -> list[str]:
    """Those that Snakemake's plugin will choose from: what rules name, or else what a file does."""
    named = [rule.resources.get("slurm_partition") for rule in workflow.rules]
    known = [each.value for each in named if each is not None and not each.is_evaluable()]
    file = workflow.executor_settings.partition_config
    if file and None in named:
        known += yaml.safe_load(Path(file).read_text())["partitions"]
    return [str(partition) for partition in known if partition]


def left(folder: Path) -> list[str]:
    """The ids of this user's jobs that a Snakemake in `folder` has submitted and that are not over.

    None where there is no Slurm. Raises `UserError` where it does not answer.
    """
    if which("squeue") is None:
        return []
    found = []
    for line in _ask("squeue", "--me", "--noheader", "--format", "%A|%k|%Z").splitlines():
        job, _, rest = line.partition("|")
        comment, _, where = rest.rpartition("|")
        # The comment is the plugin's: other jobs of this folder, such as Snakemake itself, live on.
        if comment.startswith("rule_") and where == str(folder):
            found.append(job)
    return found


def end(folder: Path) -> None:
    """End the jobs that are `left`, and wait until they are over; trainings save their state."""
    jobs = left(folder)
    print(f"ending Slurm jobs that an earlier Snakemake has left: {', '.join(jobs)}", file=sys.stderr)
    _ask("scancel", *jobs)
    until = time.monotonic() + PATIENCE
    while jobs := left(folder):
        if time.monotonic() > until:
            raise UserError(
                f"Slurm still ends jobs that an earlier Snakemake has left ({', '.join(jobs)}); "
                "start again when squeue shows them no longer"
            )
        time.sleep(1)


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"Slurm's {command[0]} gave no answer in 60 s; {_AGAIN}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        reason = said[-1] if said else f"exit status {done.returncode}"
        raise UserError(f"Slurm cannot be reached ({reason}); {_AGAIN}")
    return done.stdout
