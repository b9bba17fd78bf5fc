"""What a report is about, as the plan wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from unlabel.errors import UserError
from unlabel.params.settings import load
from unlabel.params.study import sources
from unlabel.run import Run

BASE = "base"
T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """A run that the report is about, and how the plan describes it."""

    budget: str
    dataset: str
    method: str
    variant: str
    seed: int
    arm: str  # the study's name for the variant
    encoder: str
    epochs: int
    batch: int | None = None

    @property
    def run(self) -> Run:
        """Its name."""
        return Run(self.budget, self.dataset, self.method, self.variant, self.seed)


@dataclass(frozen=True)
class About:
    """A method in words, from its recipe; any of it may be missing."""

    title: str = ""
    arxiv: str = ""
    year: int | None = None
    family: str = ""
    summary: str = ""
    views: int | None = None  # of each image in a step
    negatives: str = ""
    momentum_encoder: bool = False

    @property
    def sentence(self) -> str:
        """What its objective is made of."""
        views = {0: "", 1: "one view", None: ""}.get(self.views, f"{self.views} views")
        told = [f"a step makes {views} of each image"] if views else []
        if self.negatives and self.negatives != "none":
            told.append(f"negatives are from the {self.negatives}")
        elif views and self.views != 1:
            told.append("there are no negatives")
        if self.momentum_encoder:
            told.append("a slow copy of the encoder gives the targets")
        said = ", ".join(told)
        return f"{said[0].upper()}{said[1:]}." if said else ""


@dataclass(frozen=True)
class FrozenStudy:
    """A study's question, and the runs and methods that answer it, in the order of display.

    What stands from `name` on, only a study's own page has.
    """

    title: str
    question: str
    statement: str
    source: Any  # as `study.sources` takes it
    metric: str  # the one that answers the question
    budget: str
    runs: tuple[Planned, ...]
    methods: Mapping[str, About]
    name: str = ""  # of its file
    expected: str = ""
    remark: str = ""
    axis: str = ""
    references: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # overrides of all its runs
    transfer: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()  # what the verdict and the charts are made from
    stages: Mapping[str, bool] = field(default_factory=dict)  # which of them it reads
    claims: tuple[Mapping[str, Any], ...] = ()

    @property
    def sources(self) -> list[dict[str, str]]:
        """Each source's title, arxiv number and place."""
        return sources(self.source)


def read(path: Path) -> FrozenStudy:
    """Read the plan's file. Raises `UserError` if it lacks something or names no run."""
    content = load(path)
    runs, methods = content.get("runs"), content.get("methods")
    if not isinstance(runs, list) or not runs:
        raise UserError(f"{path} names no runs: a report needs at least one")
    if not isinstance(methods, Mapping):
        raise UserError(f"{path}: methods must be a mapping from each method to what it is")
    abouts = {name: _parse(About, about or {}, path, "methods") for name, about in methods.items()}
    planned = tuple(_parse(Planned, run, path, "runs") for run in runs)
    for run in planned:
        abouts.setdefault(run.method, About())
    return _parse(FrozenStudy, {**content, "runs": planned, "methods": abouts}, path, "the report")


def _parse(kind: type[T], content: Any, path: Path, where: str) -> T:
    """The fields of a dataclass; the plan may write more than the report shows."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: {where} holds {content!r}, but must hold mappings")
    try:
        return kind(**{key: value for key, value in content.items() if key in known})
    except TypeError as error:
        missing = str(error).partition("missing ")[2] or str(error)
        raise UserError(f"{path}: {where} lacks {missing}") from error
