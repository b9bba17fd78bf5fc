"""What a job asks the scheduler for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.run import Run
from unlabel.workflow import forecast
from unlabel.workflow.plan import Plan, run_of

SHORTEST, LONGEST = 30, 24 * 60  # minutes that a training asks for
MARGIN = 3  # times as long as forecast
Needed = Callable[[Any], int]  # a resource, as a function of a job's wildcards


@dataclass(frozen=True)
class Requests:
    """What a run's jobs ask for: by the plan, and for how long by the forecast."""

    plan: Plan
    gpus: int  # of a process that computes on GPUs
    cluster: bool

    def processes(self, each: int = 1, **known: str) -> Needed:
        """What a training needs if each process needs `each`; some wildcards are `known`."""

        def needed(wildcards: Any) -> int:
            return each * self._processes(run_of(wildcards, known))

        return needed

    def training_gpus(self, **known: str) -> Needed:
        """The GPUs of a training: none if it has nothing to train, or trains on CPUs."""

        def needed(wildcards: Any) -> int:
            run = run_of(wildcards, known)
            return self._gpu(run) * self._processes(run) if self.plan.trains(run) else 0

        return needed

    def gpu(self) -> Needed:
        """The GPU of a job that runs or fine-tunes an encoder: none if it does so on CPUs."""
        return lambda wildcards: self._gpu(run_of(wildcards, {}))

    def training_minutes(self, **known: str) -> Callable[[Any, int], int]:
        """The time of a training, doubled for each new attempt, which continues the last one."""

        def needed(wildcards: Any, attempt: int) -> int:
            if not (self.cluster and self.plan.main):
                return LONGEST  # nobody asks
            return min(LONGEST, self._minutes(run_of(wildcards, known)) * 2 ** (attempt - 1))

        return needed

    def _minutes(self, run: Run) -> int:
        if not self.plan.trains(run):
            return SHORTEST
        seconds = forecast.seconds_like(self.plan, run, gpu=bool(self._gpu(run)))
        return LONGEST if seconds is None else max(SHORTEST, ceil(MARGIN * seconds / 60))

    def _gpu(self, run: Run) -> int:
        on_cpu = self.plan.trained_by(run)["hardware"]["device"] == "cpu"
        return 0 if on_cpu else self.gpus

    def _processes(self, run: Run) -> int:
        return int(self.plan.trained_by(run)["training"]["processes"])


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
