"""What a job asks the scheduler for."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from unlabel.params import study


def studies(targets: Iterable[str], params: Path) -> list[str]:
    """The studies in params/study that Snakemake's `targets` are about."""
    found = []
    for target in targets:
        if target.startswith("reports/study/"):
            found.append(Path(target).stem)
        elif target == "statements" or target.startswith("reports/statements."):
            found += study.stated(params)
    return list(dict.fromkeys(found))


def gpus(cluster: bool) -> int:
    """What a training asks for: 1 on a cluster or if this machine has an NVIDIA GPU, else 0.

    It asks the system, as loading torch takes two seconds.
    """
    return int(cluster or Path("/dev/nvidia0").exists())


def doubled(amount: int | Callable[[Any], int]) -> Callable[[Any, int], int]:
    """A rule's resource, for all jobs or by their wildcards, doubled for each new attempt."""

    def needed(wildcards: Any, attempt: int) -> int:
        first = amount(wildcards) if callable(amount) else amount
        return first * 2 ** (attempt - 1)

    return needed
