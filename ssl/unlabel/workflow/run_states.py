"""The runs on disk: the state of each, and whether a study needs it."""

import fcntl
import re
from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO, Any

from unlabel.errors import UserError
from unlabel.files import lock
from unlabel.params import compose, study
from unlabel.params.settings import load
from unlabel.params.start import RUNS
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


@dataclass(frozen=True)
class Wanted:
    """The runs that studies need, at any budget, on any dataset and with any encoder."""

    of_studies: Set[Run]  # without budget and dataset
    named: Set[Run]  # those that recipes start from
    budgets: Set[str]

    @classmethod
    def of(cls, params: Path) -> "Wanted":
        """What `params` needs. Raises `UserError` if a study or a recipe is wrong, or is none."""
        studies = [study.read(params, name) for name in study.names(params)]
        runs = [run for each in studies for _, run in each.runs(params, budget="")]
        recipes = [load(path) for path in sorted(params.rglob("[!.]*.yaml"))]
        weights = [each for recipe in recipes for each in _texts(recipe) if each.startswith(RUNS)]
        return cls(
            {_anywhere(run) for run in runs},
            {Run.of(path) for path in weights},
            {*compose.names(params, "budget")},
        )

    def __contains__(self, run: Run) -> bool:
        if run in self.named:
            return True
        alike = _anywhere(run)
        by_study = alike in self.of_studies or _of_any_encoder(alike) in self._of_any_encoder
        return run.budget in self.budgets and by_study

    @cached_property
    def _of_any_encoder(self) -> Set[Run]:
        return {replace(run, variant=_without_encoder(run.variant)) for run in self.of_studies}


def look(plan: Plan, folder: Path) -> list[Found]:
    """Each run below `folder`. Raises `UserError` if a study or a recipe is wrong, or is none."""
    wanted, busy = Wanted.of(plan.params), _busy()
    found = []
    for run, path in _folders(folder):
        if held(path) or str(path) in busy:
            state, why = "running", ""
        elif run in wanted:
            state, why = _state(plan, run, path)
        else:
            state, why = "orphaned", ""
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        found.append(Found(run, path, state, why, size))
    return found


def _anywhere(run: Run) -> Run:
    return replace(run, budget="", dataset="")


def _of_any_encoder(run: Run) -> Run | None:
    """A run whose variant names an encoder, as `--config encoder=...` does, without it."""
    named = any(part.startswith("encoder=") for part in _overrides(run.variant))
    return replace(run, variant=_without_encoder(run.variant)) if named else None


def _without_encoder(variant: str) -> str:
    parts = [each for each in _overrides(variant) if not re.match(r"encoder[.=]", each)]
    return compose.variant(parts)


def _overrides(variant: str) -> list[str]:
    """What a variant sets; nothing if it is none, as a folder may have any name."""
    try:
        return compose.split(variant)
    except UserError:
        return []


def _texts(recipe: Any) -> Iterator[str]:
    """All texts inside of a recipe."""
    if isinstance(recipe, str):
        yield recipe
    elif isinstance(recipe, Mapping | list):
        inner = recipe.values() if isinstance(recipe, Mapping) else recipe
        yield from chain.from_iterable(map(_texts, inner))


def held(path: Path) -> bool:
    """Is a process training the run in a folder now?"""
    return any(map(_held, path.glob("state.*/lock")))


def hold(path: Path, opened: ExitStack) -> bool:
    """Keep others from training the run in a folder until `opened` is closed; False if one does.

    Where the file system has no locks, nobody can be kept from it.
    """
    for each in path.glob("state.*/lock"):
        if _held(each):
            return False
        with suppress(FileNotFoundError):  # the training has ended meanwhile
            file = opened.enter_context(each.open("r+"))
            if _lock(file) is False:
                return False
    return True


def _held(path: Path) -> bool:
    with suppress(FileNotFoundError):  # the training has ended meanwhile
        return lock.held(path)
    return False


def _lock(file: IO[str]) -> bool | None:
    """Take the system's lock; False if another process has it, None if there are no such locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _busy() -> set[str]:
    """The folders of runs that a job of Snakemake is writing to, here or in Slurm.

    Where the file system has no locks, nobody can tell whether that Snakemake lives: then its marks
    count.
    """
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
    if not plan.datasets.exists(run.dataset):
        return "stale", f"there is neither a recipe nor a prepared set of {run.dataset}"
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
