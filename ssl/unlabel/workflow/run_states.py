"""The runs on disk: the state of each, and whether a study needs it."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from unlabel.errors import UserError
from unlabel.params import compose, study
from unlabel.run import ASIDE, TRAINED, Run
from unlabel.workflow import slurm, trained_run
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import UNFINISHED
from unlabel.workflow.leftovers import ALIVE
from unlabel.workflow.plan import Plan


@dataclass(frozen=True)
class Found:
    """A run's folder, its state in a word, the reason if it is stale, and its size in bytes."""

    run: Run
    folder: Path
    state: str  # running, orphaned, done, stale, resumable or unfinished
    why: str
    size: int


def look(plan: Plan, folder: Path) -> list[Found]:
    """Each run below `folder`. Raises `UserError` if a study or a recipe is wrong."""
    wanted, busy = needed(plan.params), _busy()
    budgets = compose.names(plan.params, "budget")
    found = []
    for run, path in _folders(folder):
        if held(path) or str(path) in busy:
            state, why = "running", ""
        elif (
            run.budget in budgets and plan.datasets.exists(run.dataset) and _anywhere(run) in wanted
        ):
            state, why = _state(plan, run, path)
        else:
            state, why = "orphaned", ""
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        found.append(Found(run, path, state, why, size))
    return found


def needed(params: Path) -> set[Run]:
    """The runs of all studies, without budget and dataset: any study can be asked for on any."""
    studies = [study.read(params, name) for name in compose.names(params, "study")]
    runs = [run for each in studies for _, run in each.runs(params, budget="")]
    return {_anywhere(run) for run in runs}


def _anywhere(run: Run) -> Run:
    return replace(run, budget="", dataset="")


def held(path: Path) -> bool:
    """Is a process training the run in a folder now?"""
    with ExitStack() as opened:
        return not hold(path, opened)


def hold(path: Path, opened: ExitStack) -> bool:
    """Keep others from training the run in a folder until `opened` is closed; False if one does."""
    for lock in path.glob("state.*/lock"):
        with suppress(FileNotFoundError):  # the training has ended meanwhile
            file = opened.enter_context(lock.open("r+"))
            if not _lock(file):
                return False
    return True


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy() -> set[str]:
    """The folders of runs that a job of Snakemake is writing to, here or in Slurm."""
    if not ALIVE.exists():
        return set()
    with ALIVE.open("r+") as alive:
        if _lock(alive) and not slurm.left():
            return set()
    targets = [target.split("/") for target, _ in records.read(UNFINISHED)]
    return {"/".join(parts[:7]) for parts in targets if parts[:2] == ["data", "runs"]}


def _folders(folder: Path) -> Iterator[tuple[Run, Path]]:
    for path in sorted(folder.glob("*/*/*/*/*/")):
        with suppress(UserError):  # other things may lie there
            yield Run.parse(str(path.relative_to(folder))), path


def _state(plan: Plan, run: Run, path: Path) -> tuple[str, str]:
    try:
        plan.add_training(run)
    except UserError as error:  # a study's arm may not fit every budget
        return "stale", str(error)
    frozen = Path(plan.of(run, "pretrain")["settings"])
    if trained_run.ended(path):
        difference = trained_run.difference(run, path, frozen)
        return ("stale", difference) if difference else ("done", "")
    for state in (path / ASIDE / TRAINED[-1], path / f"state.{frozen.stem}/state.safetensors"):
        if state.exists():
            other = trained_run.other_images(run, trained_run.images_of(state))
            return ("stale", f"its training stopped; {other}") if other else ("resumable", "")
    if any(path.glob("state.*/state.safetensors")):
        return "stale", "its training state has other settings"
    return "unfinished", ""
