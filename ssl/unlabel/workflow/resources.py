"""What a job asks the scheduler for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.run import Run
from unlabel.workflow import forecast, shards
from unlabel.workflow.memory import Memory
from unlabel.workflow.plan import Plan, run_of

SHORTEST, LONGEST = 30, 24 * 60  # minutes that a training asks for
MARGIN = 3  # times as long as forecast
SHARE, DECODERS = 1000, 16  # images of each thread that decodes, and the most threads
Needed = Callable[[Any], int]  # a resource, as a function of a job's wildcards


@dataclass(frozen=True)
class Requests:
    """What a run's jobs ask for: by the plan, and for how long by the forecast."""

    plan: Plan
    gpus: int  # of a process that computes on GPUs
    cluster: bool

    def processes(self, each: int = 1, **known: str) -> Needed:
        """What a training needs on a machine, of which each process needs `each`."""
        return lambda wildcards: each * self._processes("pretrain", run_of(wildcards, known))

    def threads(self, stage: str, **known: str) -> Needed:
        """The threads of a stage on a machine: those that compute, and those that decode images."""

        def needed(wildcards: Any) -> int:
            run = run_of(wildcards, known)
            hardware = self.plan.trained_by(run)["hardware"]
            decode = 0 if stage == "probe" else hardware["workers"]
            return self._processes(stage, run) * int(hardware["threads"] + decode)

        return needed

    def decoders(self, wildcards: Any) -> int:
        """The threads that decode the image files of a dataset, if it is made of files of yours."""
        images = self.plan.datasets.expected(wildcards.dataset).images or {}
        return max(1, min(DECODERS, sum(images.values()) // SHARE))

    def node_gpus(self, stage: str, **known: str) -> Needed:
        """The GPUs that a stage computes on, on each machine."""
        return lambda wildcards: self._node_gpus(stage, run_of(wildcards, known))

    def gpu_slots(self, stage: str, **known: str) -> Needed:
        """The slots that a stage holds of these, see `unlabel.workflow.slots`."""

        def needed(wildcards: Any) -> int:
            run = run_of(wildcards, known)
            return self._node_gpus(stage, run) * self.plan.placement(run).slots

        return needed

    def gpu(self, stage: str, **known: str) -> Needed:
        """The GPUs that a scheduler is asked for, unless it is asked by `gres`."""

        def needed(wildcards: Any) -> int:
            run = run_of(wildcards, known)
            return 0 if self._gres(stage, run) else self._node_gpus(stage, run)

        return needed

    def gres(self, stage: str, **known: str) -> Callable[[Any], str | None]:
        """What Slurm is asked for on each machine, instead of `gpu`."""
        return lambda wildcards: self._gres(stage, run_of(wildcards, known))

    def local_copy(self, **known: str) -> Callable[[Any], str]:
        """Does a training copy its images first? What `unlabel.data.local_copy` is told."""

        def asked(wildcards: Any) -> str:
            run = run_of(wildcards, known)
            wanted = self.plan.trains(run) and self.plan.placement(run).local_copy
            return str(wanted).lower()

        return asked

    def nodes(self, value: Any = None, **known: str) -> Callable[[Any], Any]:
        """The machines of a training, or another `value`, if there are several; else nothing."""

        def needed(wildcards: Any) -> Any:
            nodes = self._nodes(run_of(wildcards, known))
            return None if nodes == 1 else nodes if value is None else value

        return needed

    @property
    def memory(self) -> Memory:
        """The memory of jobs that hold features."""
        return Memory(self.plan)

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

    def _node_gpus(self, stage: str, run: Run) -> int:
        """None if nothing is trained, or on CPUs, or by probes that want none."""
        idle = stage == "pretrain" and not self.plan.trains(run)
        if idle or (stage == "probe" and not self.plan.placement(run).probes):
            return 0
        return self._gpu(run) * self._processes(stage, run)

    def _gres(self, stage: str, run: Run) -> str | None:
        """The GPUs on each of several machines, or a share of one GPU, if GPUs are shared."""
        gpus = self._node_gpus(stage, run)
        if stage == "pretrain" and self._nodes(run) > 1:
            return f"gpu:{gpus}" if gpus else None
        if gpus != 1 or stage == "probe":  # several of them are one job, which asks for one thing
            return None
        return shards.gres(self.plan.placement(run).runs_per_gpu)

    def _processes(self, stage: str, run: Run) -> int:
        training = self.plan.trained_by(run)["training"]
        return int(training["processes"]) if stage == "pretrain" else 1

    def _nodes(self, run: Run) -> int:
        return int(self.plan.trained_by(run)["training"]["nodes"])


def studies(targets: Iterable[str], stated: Callable[[], Iterable[str]]) -> list[str]:
    """The studies that Snakemake's `targets` are about; `stated` are those of all statements."""
    found = []
    for target in targets:
        if target.startswith("reports/study/"):
            found.append(Path(target).stem)
        elif target == "statements" or target.startswith("reports/statements."):
            found += stated()
    return list(dict.fromkeys(found))


def gpus(asked: Any, cluster: bool, here: int) -> int:
    """How many GPUs a process asks for, from the setting `gpu`: 0, 1 or auto.

    `auto` is 1 on a cluster or if there are GPUs `here`, else 0. Raises `UserError` for another
    value, and if a GPU is asked for that is not here.
    """
    if asked == "auto":
        return int(cluster or here > 0)
    if isinstance(asked, bool) or asked not in (0, 1):
        raise UserError(f"--config gpu={asked} is not known: it must be 0, 1 or auto")
    if asked and not (cluster or here):
        raise UserError(
            "--config gpu=1 asks for a GPU, but this machine shows none (nvidia-smi, "
            "CUDA_VISIBLE_DEVICES); mend its driver, or compute on the CPU with gpu=0"
        )
    return int(asked)


def doubled(amount: int | Callable[[Any], int]) -> Callable[[Any, int], int]:
    """A rule's resource, for all jobs or by their wildcards, doubled for each new attempt."""

    def needed(wildcards: Any, attempt: int) -> int:
        first = amount(wildcards) if callable(amount) else amount
        return first * 2 ** (attempt - 1)

    return needed
