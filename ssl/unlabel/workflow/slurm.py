"""What Slurm is asked before a workflow starts: is it there, and what did an earlier one leave?"""

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from shutil import which
from typing import Any

import yaml

from unlabel.errors import UserError, damage, did_you_mean
from unlabel.workflow import submissions

CLUSTER = ("slurm_cluster", "cluster", "clusters")  # where a partition is, beside its limits
PATIENCE = 120.0  # seconds; Slurm gives a job that is to end KillWait, 30 by default
AGAIN = "see that it is up (scontrol ping), and start again: nothing is lost"


def check(workflow: Any, gpus: int) -> None:
    """Before Snakemake's `workflow`, whose trainings ask for `gpus`, submits its first job.

    Raises `UserError` if Slurm cannot be reached, or has not the partitions that jobs will go to.
    """
    known = _ask("sinfo", "--noheader", "--format", "%R").split()
    named = [rule.resources.get("slurm_partition") for rule in workflow.rules]
    partitions = [each.value for each in named if each is not None and not each.is_evaluable()]
    file = workflow.executor_settings.partition_config
    if file and None in named:  # the plugin chooses one of the file's
        limits = limits_of(Path(file))
        partitions += limits
        if gpus and not any(each.get("max_gpu") for each in limits.values()):
            raise UserError(
                f"no partition in {file} has a GPU, for which trainings ask; "
                "give one its max_gpu, or train on CPUs: --config gpu=0"
            )
    for partition in dict.fromkeys(str(each) for each in partitions if each):
        if partition not in known:
            raise UserError(
                f"Slurm has no partition {partition!r}; {did_you_mean(partition, known)} "
                "Name this cluster's in workflow/profiles/slurm/partitions.yaml"
            )


def explain_limits() -> None:
    """Let the plugin's file of partitions be checked before the plugin reads it.

    A mistake in it would end with the traceback of a constructor.
    """
    import snakemake_executor_plugin_slurm as plugin

    read = plugin.read_partition_file

    def checked(file: Path) -> list[Any]:
        try:
            limits_of(Path(file))
        except UserError as error:
            sys.exit(f"error: {error}")
        return read(file)

    plugin.read_partition_file = checked


def limits_of(file: Path) -> dict[str, dict[str, Any]]:
    """What each partition of the plugin's file offers at most.

    Raises `UserError` for what the plugin could not read.
    """
    from snakemake_executor_plugin_slurm.partitions import PartitionLimits

    with damage(f"{file} does not name partitions", "write `partitions:`, below it `cpu: {}`"):
        partitions = yaml.safe_load(file.read_text(encoding="utf-8"))["partitions"]
        limits = {name: dict(each) for name, each in partitions.items()}
    kinds = {each.name: each.type for each in fields(PartitionLimits)} | dict.fromkeys(CLUSTER)
    for partition, each in limits.items():
        if not isinstance(partition, str):
            raise UserError(f"the partition {partition!r} in {file} is no text; put it in quotes")
        for name, value in each.items():
            what = f"limit {name!r} of the partition {partition!r} in {file}"
            if name not in kinds:
                raise UserError(f"unknown {what}; {did_you_mean(name, kinds)}")
            number = kinds[name] in (int, float) and name != "max_runtime"  # which has a unit, too
            if number and not isinstance(value, int | float):
                raise UserError(f"the {what} is {value!r}, but must be a number")
    return limits


def left(folder: Path) -> list[str]:
    """The ids of this user's jobs that a Snakemake in `folder` has submitted and that are not over.

    Raises `UserError` where there may be some, but Slurm does not answer.
    """
    found: list[str] = []
    if not submissions.to("slurm"):
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


def cancel(folder: Path) -> None:
    """Cancel the jobs that are `left`, without waiting until they are over.

    Interrupted, Snakemake itself cancels all but those whose states it is just asking for. Where
    Slurm does not answer, the next Snakemake will see to it.
    """
    with suppress(UserError):
        if jobs := left(folder):
            _ask("scancel", *jobs)


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
