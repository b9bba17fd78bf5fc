"""How many runs are still to be trained, how long that will take and how much disk it fills.

The estimate comes from finished runs: the speed they logged, the time that Snakemake recorded for
their other jobs, and the size of their folders.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from unlabel.fingerprint import fingerprint, targets
from unlabel.params.settings import load
from unlabel.run import Run
from unlabel.units import duration, size
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS
from unlabel.workflow.plan import Plan

LATER = ("features", "probe", "finetune", "transfer")  # jobs of a run after its training


@dataclass(frozen=True)
class Forecast:
    """For the runs that are asked for; seconds on one core, None if nothing is known."""

    runs: int
    missing: int  # to be trained
    training: float | None
    later: float | None
    disk: float | None  # bytes

    def sentence(self, cores: int) -> str:
        """For the terminal."""
        runs = f"{self.runs} run{'s' * (self.runs != 1)}"
        if not self.missing:
            return f"{runs}, none of them to be trained"
        text = f"{runs}, {self.missing} of them to be trained"
        if self.training is None:
            return f"{text}; how long that takes is not known before a first run is finished"
        seconds = (self.training + (self.later or 0.0)) / cores
        text += f": about {duration(seconds)} on {cores} core{'s' * (cores != 1)}"
        if not self.later:
            text += " for the training alone"
        return text + (f", and {size(self.disk)} of disk" if self.disk else "")


def sentence(needed: Forecast, possible: Forecast, cores: int) -> str:
    """For the terminal: what is needed, and what open claims may need after it."""
    text = needed.sentence(cores)
    if not possible.missing:
        return text
    many = f"{possible.missing} more run{'s' * (possible.missing != 1)}"
    text += f". Claims that stay open may need up to {many}"
    if possible.training is None:
        return text
    seconds = (possible.training + (possible.later or 0.0)) / cores
    return f"{text}: about {duration(seconds)}"


def forecast(plan: Plan, runs: Iterable[Run], folder: Path = Path("data/runs")) -> Forecast:
    """For planned runs, from the finished ones below `folder`."""
    runs = list(dict.fromkeys(runs))
    missing = [run for run in runs if not _current(plan, run, folder)]
    if not missing:
        return Forecast(len(runs), 0, 0.0, 0.0, 0.0)
    finished = list(_read(folder))
    training = [_seconds(plan, run, finished) for run in missing]
    known = [seconds for seconds in training if seconds is not None]
    later = _later()
    sizes = [_size(each) for each in _near(finished, missing)]
    return Forecast(
        len(runs),
        len(missing),
        sum(known) if known else None,
        later * len(missing) if later is not None else None,
        mean(sizes) * len(missing) if sizes else None,
    )


def seconds_like(plan: Plan, run: Run, gpu: bool, folder: Path = Path("data/runs")) -> float | None:
    """How long a training will take, by finished ones that differ in variant or seed; else None.

    One without a GPU takes much longer than one with it, so it is not foretold by that.
    """
    near = folder / run.budget / run.dataset / run.method
    finished = [each for each in _finished(near) if gpu or not _on_gpu(each[2])]
    return _seconds(plan, run, finished) if finished else None


def _on_gpu(about: dict[str, Any]) -> bool:
    return not str(about.get("device", "")).endswith(" cores")  # which are a CPU's


def _current(plan: Plan, run: Run, folder: Path) -> bool:
    """Was the run trained with the planned settings and code?"""
    found = trained(folder / run.folder)
    return found is not None and found == planned(plan, run)


def planned(plan: Plan, run: Run) -> dict[str, Any]:
    """The settings and the code that a planned run is trained with."""
    settings = load(Path(plan.of(run, "pretrain")["settings"]))
    return {"settings": settings, "code": fingerprint("unlabel.stage.pretrain", *targets(settings))}


def trained(path: Path) -> dict[str, Any] | None:
    """The settings and the code that the run in a folder was trained with; None before that."""
    if not (path / "run.json").exists() or not (path / "params.yaml").exists():
        return None
    about = json.loads((path / "run.json").read_text(encoding="utf-8"))
    return {"settings": load(path / "params.yaml"), "code": about.get("code")}


def _read(folder: Path) -> Iterator[tuple[Path, Run, dict[str, Any]]]:
    """All finished runs, whatever their settings and code."""
    for file in sorted(folder.glob("*/*/*/*/*/run.json")):
        yield _run(file)


@cache
def _finished(folder: Path) -> list[tuple[Path, Run, dict[str, Any]]]:
    """The finished runs of one method, as this process found them first."""
    return [_run(file) for file in sorted(folder.glob("*/*/run.json"))]


def _run(file: Path) -> tuple[Path, Run, dict[str, Any]]:
    """A finished run, by its run.json."""
    run = Run.parse("/".join(file.parts[-6:-1]))
    return file.parent, run, json.loads(file.read_text(encoding="utf-8"))


def _seconds(
    plan: Plan, run: Run, finished: Sequence[tuple[Path, Run, dict[str, Any]]]
) -> float | None:
    """For a training: by the images/s of runs of the same method, or else of any."""
    settings = plan.trained_by(run)["training"]
    speeds = [(each, about.get("images_per_second")) for _, each, about in finished]
    like = [speed for each, speed in speeds if each.method == run.method]
    if like and not any(like):  # it has nothing to train
        return 0.0
    rates = [rate for rate in like if rate] or [rate for _, rate in speeds if rate]
    images = settings["images"] or next(
        (about["images"] for _, each, about in finished if each.dataset == run.dataset), None
    )
    if not rates or images is None:
        return None
    return float(settings["epochs"] * images / mean(rates))


def _later() -> float | None:
    """Seconds that all jobs after a training have taken together; None if there were none."""
    spent: dict[str, list[float]] = {}
    for target, path in records.read(RECORDS) if RECORDS.exists() else ():
        if not target.startswith("data/runs/"):
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        start, end = record.get("starttime"), record.get("endtime")
        if record.get("rule") in LATER and start and end:
            spent.setdefault(record["rule"], []).append(end - start)
    return sum(mean(each) for each in spent.values()) if spent else None


def _near(
    finished: Sequence[tuple[Path, Run, dict[str, Any]]], missing: Sequence[Run]
) -> list[Path]:
    """The folders of runs like the missing ones: on the same datasets, or else any."""
    datasets = {run.dataset for run in missing}
    near = [path for path, run, _ in finished if run.dataset in datasets]
    return near or [path for path, *_ in finished]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
