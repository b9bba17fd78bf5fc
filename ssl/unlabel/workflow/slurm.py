"""Ask Slurm, before a workflow starts: is it there, and which jobs did an earlier one leave?"""

import hashlib
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.workflow import remote_jobs
from unlabel.workflow.engine.partitions import limits_of

ASKS = 180  # seconds between two questions of the plugin about jobs' states, at most
PATIENCE = 120.0  # seconds; Slurm gives a job KillWait to end, 30 s by default
AGAIN = "see that it is up (scontrol ping), and start again: nothing is lost"


def prepare(settings: Any) -> None:
    """Tell the plugin, by its `settings`, what it needs to know of this folder and this Slurm."""
    if settings.partition_config:
        limits_of(Path(settings.partition_config))
    name_jobs(settings)
    choose_question(settings)


def name_jobs(settings: Any) -> None:
    """Have the plugin, by its `settings`, begin each job's name with what tells this folder's."""
    given = settings.jobname_prefix or "unlabel"
    settings.jobname_prefix = f"{given[:40]}-{_digest()}"


def choose_question(settings: Any) -> None:
    """Have the plugin, by its `settings`, ask `squeue` for jobs' states if `sacct` cannot say them.

    The plugin asks `sacct` wherever it is installed. Without accounting it gets no answer, says
    nothing and asks again for ever. Raises `UserError` if Slurm forgets a job before the plugin
    can see that it is over.
    """
    if not (reason := _without_accounting()):
        return
    config = _ask("scontrol", "show", "config")
    age = re.search(r"^MinJobAge\s*=\s*(\d+) sec", config, re.MULTILINE)
    if age and int(age[1]) <= ASKS:
        raise UserError(
            f"this Slurm has no accounting ({reason}) and forgets a job {age[1]} s after its end; "
            f"have its administrator set MinJobAge in slurm.conf to 300 (more than {ASKS})"
        )
    settings.status_command = "squeue"
    print(
        f"this Slurm has no accounting ({reason}): squeue is asked for the states of jobs",
        file=sys.stderr,
    )


def check(workflow: Any) -> None:
    """Raise `UserError` if Slurm lacks what the jobs of Snakemake's `workflow` ask for.

    It must answer, and have the partitions that they will go to.
    """
    known = _ask("sinfo", "--noheader", "--format", "%R").split()
    jobs = list(workflow.dag.needrun_jobs())
    named = dict.fromkeys(job.resources.get("slurm_partition") for job in jobs)
    where = "Name this cluster's in --default-resources slurm_partition=..."
    partitions = {name: where for each in named if each for name in str(each).split(",")}
    file = workflow.executor_settings.partition_config
    if file and None in named:  # the plugin chooses one from the file
        limits = limits_of(Path(file))
        partitions |= dict.fromkeys(limits, f"Name this cluster's in {file}")
        asked = any(job.resources.get("gpu") for job in jobs)
        if asked and not any(each.get("max_gpu") for each in limits.values()):
            raise UserError(
                f"no partition in {file} has a GPU, but some jobs ask for one; "
                "give one its max_gpu, or compute on CPUs: --config gpu=0"
            )
    for partition, mend in partitions.items():
        if partition not in known:
            nearest = did_you_mean(partition, known)
            raise UserError(f"Slurm has no partition {partition!r}; {nearest} {mend}")


def left() -> list[str]:
    """The ids of the jobs that a Snakemake has submitted from this folder and that are not over.

    Raises `UserError` if there may be some, but Slurm does not answer.
    """
    if not remote_jobs.submitted_to("slurm"):
        return []
    lines = _ask("squeue", "--me", "--noheader", "--format", "%A %j").splitlines()
    jobs = (line.strip().partition(" ") for line in lines)  # a name may have spaces
    return [number for number, _, name in jobs if f"-{_digest()}_" in name]


def end() -> None:
    """End the jobs that are `left`, and wait until they are over; trainings save their state."""
    if jobs := left():
        print(f"ending what an earlier Snakemake left in Slurm: {', '.join(jobs)}", file=sys.stderr)
        _ask("scancel", *jobs)
    until = time.monotonic() + PATIENCE
    while jobs:
        time.sleep(1)
        if (jobs := left()) and time.monotonic() > until:
            raise UserError(
                f"Slurm has not yet ended jobs that an earlier Snakemake left ({', '.join(jobs)}); "
                "start again when squeue shows them no longer"
            )


def cancel() -> None:
    """Cancel the jobs that are `left`, without waiting until they are over.

    When it is interrupted, Snakemake cancels all jobs but those whose states it is just asking for.
    If Slurm does not answer, the next Snakemake will see to it.
    """
    with suppress(UserError):
        if jobs := left():
            _ask("scancel", *jobs)


def _digest() -> str:
    """The same for each Snakemake that runs in this folder."""
    return hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:8]


def _without_accounting() -> str:
    """Why `sacct` has no answer; empty if it has one."""
    return answer("sacct", "--allocations", "--noheader", "--starttime", "now")[1]


def _ask(*command: str) -> str:
    """What a command of Slurm's prints. Raises `UserError` if it fails."""
    if which(command[0]) is None or which("sbatch") is None:
        raise UserError(
            f"Slurm's commands, such as {command[0]} and sbatch, are not on this machine's PATH; "
            "start Snakemake on a login node of the cluster"
        )
    printed, failure = answer(*command)
    if failure:
        raise UserError(f"Slurm cannot be reached ({failure}); {AGAIN}")
    return printed


def answer(*command: str) -> tuple[str, str]:
    """What a command prints, and why it failed; the latter is empty if it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return "", f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} gave no answer in 60 s"
    said = done.stderr.strip().splitlines()
    reason = said[-1] if said else f"{command[0]} ended with {done.returncode}"
    return done.stdout, reason if done.returncode else ""
