"""What a job asks the scheduler for."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from unlabel.errors import UserError


def studies(targets: Iterable[str], stated: Callable[[], Iterable[str]]) -> list[str]:
    """The studies that Snakemake's `targets` are about; `stated` are those of all statements."""
    found = []
    for target in targets:
        if target.startswith("reports/study/"):
            found.append(Path(target).stem)
        elif target == "statements" or target.startswith("reports/statements."):
            found += stated()
    return list(dict.fromkeys(found))


def gpus(asked: Any, cluster: bool, check: bool = True) -> int:
    """How many GPUs a training asks for, from the setting `gpu`: 0, 1 or auto.

    `auto` is 1 on a cluster or if this machine has an NVIDIA GPU, else 0. It asks the system, as
    loading torch takes two seconds. Raises `UserError` for another value, and if `check` finds that
    torch has no GPU here where one is asked for.
    """
    if asked == "auto":
        return int(cluster or Path("/dev/nvidia0").exists())
    if isinstance(asked, bool) or asked not in (0, 1):
        raise UserError(f"--config gpu={asked} is not known: it must be 0, 1 or auto")
    if asked and check and not cluster:
        import torch

        if not torch.cuda.is_available():
            raise UserError(
                "--config gpu=1 asks for a GPU, but torch finds none on this machine; mend its "
                "driver (nvidia-smi shows whether it works), or compute on the CPU with gpu=0"
            )
    return int(asked)


def doubled(amount: int | Callable[[Any], int]) -> Callable[[Any, int], int]:
    """A rule's resource, for all jobs or by their wildcards, doubled for each new attempt."""

    def needed(wildcards: Any, attempt: int) -> int:
        first = amount(wildcards) if callable(amount) else amount
        return first * 2 ** (attempt - 1)

    return needed
