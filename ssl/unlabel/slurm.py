"""What Slurm is asked before a workflow starts: is it there, and what did an earlier one leave?"""

import subprocess
import sys
import time
from pathlib import Path
from shutil import which
from typing import Any

import yaml

from unlabel.errors import UserError, nearest
from unlabel.records import FROZEN

MARK = FROZEN / "slurm"  # is there where a workflow may have jobs in Slurm's queue
PATIENCE = 120.0  # seconds; Slurm gives a job that is to end KillWait, 30 by default
AGAIN = "see that it is up (scontrol ping), and start again: nothing is lost"


def start(workflow: Any) -> None:
    """Before Snakemake's `workflow` submits its first job.

    Raises `UserError` if Slurm cannot be reached, or has not the partitions that jobs will go to.
    """
    known = _ask("sinfo", "--noheader", "--format", "%R").split()
    for partition in _partitions(workflow):
        if partition not in known:
            raise UserError(
                f"Slurm has no partition {partition!r}; {nearest(partition, known)} "
                "Name this cluster's in workflow/profiles/slurm/partitions.yaml"
            )
    MARK.touch()


def left(folder: Path) -> list[str]:
    """The ids of this user's jobs that a Snakemake in `folder` has submitted and that are not over.

    Raises `UserError` where there may be some, but Slurm does not answer.
    """
    found: list[str] = []
    if not (folder / MARK).exists():
        return found
    for line in _ask("squeue", "--me", "--noheader", "--format", "%A|%k|%Z").splitlines():
        job, _, rest = line.partition("|")
        comment, _, where = rest.rpartition("|")
        # The comment is the plugin's: other jobs of this folder, such as Snakemake itself, live on.
        if comment.startswith("rule_") and where == str(folder):
            found.append(job)
    return found


def end(folder: Path) -> None:
    """End the jobs that are `left`, and wait until they are over; trainings save their state."""
    if jobs := left(folder):
        print(f"ending what an earlier Snakemake left in Slurm: {', '.join(jobs)}", file=sys.stderr)
        _ask("scancel", *jobs)
    until = time.monotonic() + PATIENCE
    while jobs:
        time.sleep(1)
        if (jobs := left(folder)) and time.monotonic() > until:
            raise UserError(
                f"Slurm has not yet ended jobs that an earlier Snakemake left ({', '.join(jobs)}); "
                "start again when squeue shows them no longer"
            )
    (folder / MARK).unlink(missing_ok=True)


def _partitions(workflow: Any) -> list[str]:
    """Those that Snakemake's plugin will choose from: what rules name, or else what a file does."""
    named = [rule.resources.get("slurm_partition") for rule in workflow.rules]
    known = [each.value for each in named if each is not None and not each.is_evaluable()]
    file = workflow.executor_settings.partition_config
    if file and None in named:
        known += yaml.safe_load(Path(file).read_text())["partitions"]
    return list(dict.fromkeys(str(partition) for partition in known if partition))


def _ask(*command: str) -> str:
    if which(command[0]) is None or which("sbatch") is None:
        raise UserError(
            f"Slurm's commands, such as {command[0]} and sbatch, are not on this machine's PATH; "
            "start Snakemake on a login node of the cluster"
        )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"Slurm's {command[0]} gave no answer in 60 s; {AGAIN}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        reason = said[-1] if said else f"{command[0]} ended with {done.returncode}"
        raise UserError(f"Slurm cannot be reached ({reason}); {AGAIN}")
    return done.stdout
