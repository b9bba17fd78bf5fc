"""How many runs are still to be trained, how long that will take and how much disk it fills.

The estimate comes from finished runs: the speed they logged, the time that Snakemake recorded for
their other jobs, and the size of their folders.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from unlabel.errors import UserError
from unlabel.params.placement import SLOTS
from unlabel.run import Run
from unlabel.units import duration, size
from unlabel.workflow.engine import records
from unlabel.workflow.engine.planned_jobs import Job, is_training
from unlabel.workflow.engine.records import RECORDS
from unlabel.workflow.plan import Plan

Finished = tuple[Path, Run, dict[str, Any]]  # its folder, its name and its run.json


@dataclass(frozen=True)
class Room:
    """What jobs share: this machine's cores, or so many jobs of a cluster at a time."""

    cores: int
    slots: int = 0  # of its GPUs; none if the trainings use no GPU, or a cluster places them

    def __str__(self) -> str:
        gpus = self.slots // SLOTS
        text = f"{self.cores} core{'s' * (self.cores != 1)}"
        return text + (f" and {gpus} GPU{'s' * (gpus != 1)}" if gpus else "")

    def seconds(self, alone: float, held: float) -> float:
        """How long jobs take side by side that take `alone` seconds one after another.

        `held` is the sum of the slots that each holds times its seconds.
        """
        return max(alone / self.cores, held / self.slots if self.slots else 0.0)


@dataclass(frozen=True)
class Forecast:
    """For the jobs of a dry run; in seconds one after another, None if nothing is known."""

    runs: int  # that were asked for
    missing: int  # to be trained
    training: float | None
    others: float | None  # the jobs that train nothing
    disk: float | None  # bytes
    held: float = 0.0  # slots of GPUs that trainings hold, times seconds

    def sentence(self, room: Room) -> str:
        """For the terminal."""
        text = "nothing to be trained"
        if self.runs:
            text = f"{self.runs} run{'s' * (self.runs != 1)}, "
            text += f"{self.missing or 'none'} of them to be trained"
        if self.training is None:
            return f"{text}; how long that takes is not known before a first run is finished"
        if seconds := room.seconds(self.training + (self.others or 0.0), self.held):
            text += f": about {duration(seconds)} on {room}"
            if self.others is None:
                text += " for the training alone"
        return text + (f", and {size(self.disk)} of disk" if self.disk else "")


def possible(plan: Plan, runs: Iterable[Run], room: Room, folder: Path = Path("data/runs")) -> str:
    """What claims that stay open may need after the runs of a dry run; empty if that is nothing."""
    missing = [run for run in runs if not (folder / run.folder / "run.json").exists()]
    if not missing:
        return ""
    many = f"{len(missing):,} more run{'s' * (len(missing) != 1)}"
    known = room.seconds(*_sums(plan, _trainings(plan, missing, _usable(folder, room))))
    about = f": about {duration(known)} for the training alone" if known else ""
    return f"claims that stay open may need up to {many}{about}"


def forecast(
    plan: Plan, jobs: Iterable[Job], room: Room, folder: Path = Path("data/runs")
) -> Forecast:
    """For the jobs of a dry run, from the finished runs below `folder`."""
    jobs = list(jobs)
    runs = {job.run for job in jobs if job.run}
    due = [job for job in jobs if job.reasons]
    missing = [job.run for job in due if job.run and is_training(job.rule)]
    others = _others([job.rule for job in due if not is_training(job.rule)])
    if not missing:
        return Forecast(len(runs), 0, 0.0, others, None)
    known = _trainings(plan, missing, _usable(folder, room))
    sizes = [_size(each) for each in _near(list(_read(folder)), missing)]
    disk = mean(sizes) * len(missing) if sizes else None
    alone, held = _sums(plan, known)
    return Forecast(len(runs), len(missing), alone if known else None, others, disk, held)


def seconds_like(plan: Plan, run: Run, gpu: bool, folder: Path = Path("data/runs")) -> float | None:
    """How long a training will take, by finished ones that differ in variant or seed; else None.

    One without a GPU takes much longer than one with it, so it is not foretold by that.
    """
    near = folder / run.budget / run.dataset / run.method
    finished = [each for each in _finished(near) if gpu or not _on_gpu(each[2])]
    return _seconds(plan, run, finished) if finished else None


def _usable(folder: Path, room: Room) -> list[Finished]:
    """The finished runs that say how long others take; where there are GPUs, those on a GPU."""
    return [each for each in _read(folder) if not room.slots or _on_gpu(each[2])]


def _trainings(
    plan: Plan, runs: Iterable[Run], finished: Sequence[Finished]
) -> list[tuple[Run, float]]:
    """The seconds of each run for which they are known."""
    found = [(run, _seconds(plan, run, finished)) for run in runs]
    return [(run, seconds) for run, seconds in found if seconds is not None]


def _sums(plan: Plan, known: Iterable[tuple[Run, float]]) -> tuple[float, float]:
    """Seconds one after another, and the slots of GPUs that each holds times its seconds."""
    known = list(known)
    return sum(seconds for _, seconds in known), sum(
        seconds * plan.placement(run).slots * plan.trained_by(run)["training"]["processes"]
        for run, seconds in known
    )


def _on_gpu(about: dict[str, Any]) -> bool:
    return not str(about.get("device", "")).endswith(" cores")  # which are a CPU's


def _read(folder: Path) -> Iterator[Finished]:
    """All finished runs, whatever their settings and code."""
    for file in sorted(folder.glob("*/*/*/*/*/run.json")):
        yield from _run(file)


@cache
def _finished(folder: Path) -> list[Finished]:
    """The finished runs of one method, as this process found them first."""
    return [each for file in sorted(folder.glob("*/*/run.json")) for each in _run(file)]


def _run(file: Path) -> Iterator[Finished]:
    """A finished run, by its run.json; none if that is damaged, or its folder is no run's."""
    with suppress(OSError, ValueError, AttributeError, UserError):
        about = json.loads(file.read_text(encoding="utf-8"))
        run = Run.parse("/".join(file.parts[-6:-1]))
        numbers = (about.get("images"), about.get("images_per_second"))
        if all(isinstance(each, int | float | None) for each in numbers):
            yield file.parent, run, about


def _seconds(plan: Plan, run: Run, finished: Sequence[Finished]) -> float | None:
    """For a training: by the images/s of runs of the same method, or else of any."""
    settings = plan.trained_by(run)["training"]
    speeds = [(each, about.get("images_per_second")) for _, each, about in finished]
    like = [speed for each, speed in speeds if each.method == run.method]
    if like and not any(like):  # it has nothing to train
        return 0.0
    rates = [rate for rate in like if rate] or [rate for _, rate in speeds if rate]
    images = settings["images"] or next(
        (about.get("images") for _, each, about in finished if each.dataset == run.dataset), None
    )
    if not rates or images is None:
        return None
    return float(settings["epochs"] * images / mean(rates))


def _others(rules: Sequence[str]) -> float | None:
    """Seconds that jobs of these rules take together, as far as some have run; None if none has."""
    spent: dict[str, list[float]] = {rule: [] for rule in rules}
    for _, path in records.read(RECORDS) if RECORDS.exists() else ():
        with suppress(ValueError, KeyError, TypeError):  # a damaged one
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["rule"] in spent:
                spent[record["rule"]].append(record["endtime"] - record["starttime"])
    known = [mean(spent[rule]) for rule in rules if spent[rule]]
    return sum(known) if known or not rules else None


def _near(finished: Sequence[Finished], missing: Sequence[Run]) -> list[Path]:
    """The folders of runs like the missing ones: on the same datasets, or else any."""
    datasets = {run.dataset for run in missing}
    near = [path for path, run, _ in finished if run.dataset in datasets]
    return near or [path for path, *_ in finished]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
