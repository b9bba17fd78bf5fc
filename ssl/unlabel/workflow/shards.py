"""Small trainings on Slurm share a GPU, if the cluster divides its GPUs into shards."""

import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from unlabel.workflow import slurm
from unlabel.workflow.engine import partitions

ENVIRONMENT = "UNLABEL_SHARDS"  # of a GPU; tells jobs what they were asked by, see `Requests.gpu`
GRES = re.compile(r"\b(gpu|shard)(?::[^:,()]+)?:(\d+)(K?)")  # as in gpu:a100:4(S:0,1),shard:32


def forget() -> None:
    """Ask for whole GPUs, until `share` finds shards."""
    os.environ.pop(ENVIRONMENT, None)


def share(workflow: Any, runs_per_gpu: Iterable[int]) -> None:
    """Have jobs of Snakemake's `workflow` ask for shards, if Slurm has some where they may go.

    Says so. `runs_per_gpu` are those of the planned runs.
    """
    if (most := max(runs_per_gpu, default=1)) == 1:
        return
    known = divided(slurm.answer("sinfo", "--noheader", "--format", "%R %G")[0])
    if not (chosen := partitions.send(workflow, "shard:", known)):
        return
    shards = max(known[name] for name in chosen)
    os.environ[ENVIRONMENT] = str(shards)
    jobs = shards // needed(shards, most)
    print(
        f"this cluster shares its GPUs: up to {jobs} jobs a GPU, by its shards (partition "
        f"{', '.join(chosen)})",
        file=sys.stderr,
    )


def divided(said: str) -> dict[str, int]:
    """The shards of a GPU, in each partition that has several, from lines `PARTITION GRES`.

    Where nodes differ, the most: then no GPU gets more jobs than it should.
    """
    found: dict[str, int] = {}
    for line in said.splitlines():
        partition, _, gres = line.partition(" ")
        counts = dict.fromkeys(("gpu", "shard"), 0)
        for kind, number, thousand in GRES.findall(gres):
            counts[kind] += int(number) * (1024 if thousand else 1)
        each = counts["shard"] // counts["gpu"] if counts["gpu"] else 0
        if each > 1:
            found[partition] = max(each, found.get(partition, 0))
    return found


def needed(shards: int, runs_per_gpu: int) -> int:
    """How many of the shards of a GPU a job asks for: the fewest with which no more jobs fit."""
    return shards // (runs_per_gpu + 1) + 1


def gres(runs_per_gpu: int) -> str | None:
    """What Slurm is asked for instead of a GPU; None if that is a whole one."""
    shards = int(os.environ.get(ENVIRONMENT) or 0)
    return f"shard:{needed(shards, runs_per_gpu)}" if shards and runs_per_gpu > 1 else None
