"""Slurm's partitions: their limits, as Snakemake's plugin reads them, and where jobs go."""

from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from unlabel.errors import UserError, damage, did_you_mean

PARTITION = "slurm_partition"
CLUSTER = ("slurm_cluster", "cluster", "clusters")  # say where a partition is


def limits_of(file: Path) -> dict[str, dict[str, Any]]:
    """What each partition in the plugin's file offers at most.

    Raises `UserError` if the plugin could not read the file; it would end with a traceback.
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


def send(workflow: Any, asked: str, having: Collection[str]) -> list[str]:
    """Send jobs whose `gres` begins with `asked` to partitions `having` that; which these are.

    The plugin itself takes a job without `gpu` for one that needs no GPU. A partition that the user
    names in `--default-resources` or `--set-resources` stays; else those of the file that have GPUs
    may be chosen. If some of these jobs have nowhere to go, all stay as they are.
    """
    rules = [each.resources for each in workflow.rules if "gres" in each.resources]
    free = [each for each in rules if PARTITION not in each]
    named = {str(each[PARTITION].raw).strip("'\"") for each in rules if PARTITION in each}
    file = workflow.executor_settings.partition_config
    limits = limits_of(Path(file)) if file and free else {}
    found = [name for name, each in limits.items() if each.get("max_gpu") and name in having]
    if not named <= {*having} or (free and not found):
        return []
    for resources in free:
        resources[PARTITION] = _of(resources["gres"], asked, ",".join(found))
    return sorted({*named, *found})


def _of(gres: Any, asked: str, partition: str) -> Callable[[Any], str | None]:
    """The partition of a job, if its resource `gres` is as `asked`; else the plugin chooses."""

    def chosen(wildcards: Any) -> str | None:
        return partition if str(gres.evaluate(wildcards).value).startswith(asked) else None

    return chosen
