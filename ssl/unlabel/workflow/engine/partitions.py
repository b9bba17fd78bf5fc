"""The limits of Slurm's partitions, as Snakemake's plugin for Slurm reads them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from unlabel.errors import UserError, damage, did_you_mean

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
