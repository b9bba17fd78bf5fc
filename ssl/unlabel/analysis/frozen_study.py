"""A study as the plan froze it: its runs, its claims, and what its metrics mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from unlabel.analysis.looks import Look, looks
from unlabel.analysis.metric import Measure, Metrics
from unlabel.errors import UserError
from unlabel.params.claim import Claim
from unlabel.params.settings import load
from unlabel.params.source import sources
from unlabel.params.study import MARGIN
from unlabel.run import BASE, Run

T = TypeVar("T")


@dataclass(frozen=True)
class PlannedRun:
    """A run of the study, and how pages describe it."""

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

    @property
    def name(self) -> str:
        """Its name for people."""
        arm = "" if self.arm == BASE else f"[{self.arm}]"
        return f"{self.method}{arm} (seed {self.seed})"


@dataclass(frozen=True)
class MethodSummary:
    """A method in words, from its recipe; any of them may be missing."""

    title: str = ""
    arxiv: str = ""
    year: int | None = None
    family: str = ""
    summary: str = ""
    views: int | None = None  # of each image in a step
    negatives: str = ""
    momentum_encoder: bool = False
    pictures: str = ""  # what to know of those that it shows
    tried: int | None = None  # how many of its settings were compared to choose the recipe's

    @property
    def sentence(self) -> str:
        """What its objective is made of."""
        views = {0: "", 1: "one view", None: ""}.get(self.views, f"{self.views} views")
        parts = [f"a step makes {views} of each image"] if views else []
        if self.negatives and self.negatives != "none":
            parts.append(f"negatives are from the {self.negatives}")
        elif views and self.views != 1:
            parts.append("there are no negatives")
        if self.momentum_encoder:
            parts.append("a slow copy of the encoder gives the targets")
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""


@dataclass(frozen=True)
class FrozenStudy:
    """A study's question, and the runs and methods that answer it, in the order of display.

    Only a study's own page has the fields from `name` on.
    """

    title: str
    question: str
    statement: str
    source: Any  # as `params.source` takes it
    metric: str  # the one that answers the question
    budget: str
    runs: tuple[PlannedRun, ...]
    methods: Mapping[str, MethodSummary]
    probes: tuple[str, ...]  # whose numbers it reads, the stage `finetune` among them
    declared: Metrics = field(default_factory=Metrics)  # by all its runs
    name: str = ""  # of its file
    expected: str = ""
    remark: str = ""
    axis: str = ""
    references: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # overrides of all its runs
    transfer: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()  # of the verdict and the charts
    stages: Mapping[str, bool] = field(default_factory=dict)  # which stages' results it reads
    claims: tuple[Claim, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)  # method or arm -> why
    margin: float = MARGIN  # a difference of shares inside it counts as none
    looks: tuple[int, ...] = ()  # the number of seeds at each look; empty for all at once
    until: int | None = None  # the seeds of the last look that is asked for; None for all looks

    @property
    def sources(self) -> list[dict[str, str]]:
        """Each source's title, arxiv number and place."""
        return sources(self.source)

    @property
    def each_look(self) -> list[Look]:
        """When its claims are judged, as far as is asked for, and with which seeds."""
        seeds = list(dict.fromkeys(each.seed for each in self.runs))
        every = looks(seeds, self.looks or [len(seeds)])
        return [each for each in every if len(each.seeds) <= (self.until or len(seeds))]

    def without(self, runs: Mapping[str, str]) -> "FrozenStudy":
        """The study without these runs: their folders, each with the reason."""
        kept = tuple(each for each in self.runs if each.run.folder not in runs)
        said = {run.name: runs[run.run.folder] for run in self.runs if run not in kept}
        return replace(self, runs=kept, left_out={**self.left_out, **said})

    def describe(self, metric: str) -> Measure:
        """What a metric is called and how it is written."""
        return self.declared.describe(metric)


def read(path: Path) -> FrozenStudy:
    """Read a frozen study. Raises `UserError` if it lacks something or names no run."""
    content = load(path)
    runs, methods = content.get("runs"), content.get("methods")
    if not isinstance(runs, list) or not runs:
        raise UserError(f"{path} names no runs: a report needs at least one")
    if not isinstance(methods, Mapping):
        raise UserError(f"{path}: methods must be a mapping from each method to what it is")
    planned = tuple(_parse(PlannedRun, run, path, "runs") for run in runs)
    summaries = {run.method: MethodSummary() for run in planned} | {
        name: _parse(MethodSummary, about or {}, path, "methods") for name, about in methods.items()
    }
    try:
        claims = tuple(map(Claim.of, content.get("claims", ())))
        declared = Metrics.of(content.get("declared", ()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no frozen study ({error}); delete it and plan again") from error
    parsed = {"runs": planned, "methods": summaries, "claims": claims, "declared": declared}
    return _parse(FrozenStudy, {**content, **parsed}, path, "the report")


def _parse(kind: type[T], content: Any, path: Path, where: str) -> T:
    """Fill a dataclass; the plan may write more than the report shows."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: {where} holds {content!r}, but must hold mappings")
    try:
        return kind(**{key: value for key, value in content.items() if key in known})
    except TypeError as error:
        missing = str(error).partition("missing ")[2] or str(error)
        raise UserError(f"{path}: {where} lacks {missing}") from error
