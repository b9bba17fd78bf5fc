"""What a job on another machine is told to make: a rule and the values of its wildcards.

Snakemake parts these values at commas (snakemake/snakemake#2366), and a variant may have some.
"""

from collections.abc import Mapping
from typing import Any

from unlabel.errors import UserError

VARIANT, AFTER = "variant", "seed"  # a wildcard, and the one that follows it in every path


def join(workflow: Any) -> None:
    """Put the values together again, in the process of such a job."""
    for spec in workflow.dag_settings.target_jobs:
        whole = joined(spec.wildcards_dict)
        spec.wildcards_dict.clear()
        spec.wildcards_dict.update(whole)


def joined(told: Mapping[str, str]) -> dict[str, str]:
    """The values that wildcards had before they were parted."""
    whole, parts = dict[str, str](), False
    for name, value in told.items():
        parts = name != AFTER and (parts or name == VARIANT)
        if parts and name != VARIANT:
            whole[VARIANT] += f",{name}={value}"
        else:
            whole[name] = value
    return whole


def check(workflow: Any) -> None:
    """Raise `UserError` if a job has a value whose parts no job could put together."""
    for job in workflow.dag.needrun_jobs():
        for value in job.wildcards_dict.values():
            if "," in value and not all("=" in part for part in value.split(",")):
                raise UserError(
                    f"{job.output[0]} has a list in its variant, which Snakemake cannot tell a job "
                    "on a cluster; make the runs with such lists without the cluster first, by "
                    f"`snakemake --cores N {job.output[0]}`"
                )
