"""A study: a question, the runs that answer it, and what is claimed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.params import claim, compose
from unlabel.params.claim import Claim, Term
from unlabel.params.settings import build, load
from unlabel.run import Run

BASE = "base"
SEEDS = 3  # that a claim needs at least
SOURCE = ("title", "arxiv", "where")


@dataclass(frozen=True)
class Arm:
    """Methods, and the overrides that all of them are run with."""

    label: str
    methods: tuple[str, ...]
    overrides: tuple[str, ...]
    plain: bool  # with nothing but the study's settings

    @property
    def variant(self) -> str:
        """As a run's path says it."""
        return compose.variant(self.overrides)


@dataclass(frozen=True)
class Study:
    """Every method on every dataset, in every arm of its, with every seed."""

    title: str
    question: str
    datasets: list[str]
    seeds: list[int]
    metric: str  # the one that answers the question
    methods: list[str] | str = "all"  # those of params/method
    # label -> overrides; or {methods: [...], overrides: [...]}, for some methods alone
    arms: dict[str, Any] = field(default_factory=lambda: {BASE: []})
    settings: list[str] = field(default_factory=list)  # overrides that all arms have
    references: list[str] = field(default_factory=list)  # methods to compare with, in no arm
    axis: str = ""  # what the arms' labels are
    transfer: list[str] = field(default_factory=list)  # datasets that the encoders are tried on
    statement: str = ""  # what is said, and is tested here
    repeats: str = ""  # the study whose statement it tests again; only that one is among all
    source: Any = ""  # who says it: a text, or title, arxiv and where, or a list of such
    expected: str = ""  # what they found
    remark: str = ""  # what its reader should know of what was found here
    claims: list[Any] = field(default_factory=list)  # all of them make the statement

    def groups(self, params: Path) -> list[Arm]:
        """The arms, and the references as an arm `base`. Raises `UserError` where one is wrong."""
        crossed = compose.names(params, "method") if self.methods == "all" else self.methods
        groups = [_arm(str(label), arm, crossed, self.settings) for label, arm in self.arms.items()]
        known = {(method, arm.label) for arm in groups for method in arm.methods}
        alone = tuple(method for method in self.references if (method, BASE) not in known)
        if alone:
            groups.append(Arm(BASE, alone, tuple(self.settings), plain=True))
        return groups

    def all(self, params: Path) -> list[str]:
        """The methods of all arms."""
        return list(dict.fromkeys(name for arm in self.groups(params) for name in arm.methods))

    def without(self, methods: Sequence[str], params: Path) -> "Study":
        """The study without some methods, and without the arms that are left with none."""

        def rest(names: Sequence[str]) -> list[str]:
            return [name for name in names if name not in methods]

        arms = {}
        for label, arm in self.arms.items():
            if isinstance(arm, Mapping) and "methods" in arm:
                arm = {**arm, "methods": rest(arm["methods"])}
                if not arm["methods"]:
                    continue
            arms[label] = arm
        crossed = compose.names(params, "method") if self.methods == "all" else self.methods
        return replace(self, methods=rest(crossed), arms=arms, references=rest(self.references))

    def runs(self, params: Path, budget: str) -> list[tuple[str, Run]]:
        """The arm and the run of all that is to be trained. Raises `UserError` if it is nothing."""
        groups = self.groups(params)
        runs = [
            (arm.label, Run(budget, dataset, method, arm.variant, seed))
            for dataset in self.datasets
            for method in self.all(params)
            for arm in groups
            if method in arm.methods
            for seed in self.seeds
        ]
        if not runs:
            raise UserError(
                f"the study {self.title!r} has nothing to run; give it at least one of each of "
                "datasets, methods, arms and seeds"
            )
        return runs

    def claimed(self, params: Path) -> list[Claim]:
        """The claims, of which each term names its arm and its metric.

        Raises `UserError` for a claim that cannot be read, or is about what the study has not.
        """
        groups = self.groups(params)
        found = []
        for number, content in enumerate(self.claims, 1):
            where = f"claim {number} of the study {self.title!r}"
            each = claim.parse(content, self.metric, where)
            found.append(each.map(lambda term, w=where, m=each.metric: _whole(term, groups, m, w)))  # type: ignore[misc]
        return found

    def metrics(self, params: Path) -> list[str]:
        """What its verdict and its chart are made from, each once."""
        claimed = [name for each in self.claimed(params) for name in each.metrics]
        return list(dict.fromkeys([self.metric, *claimed]))


def read(params: Path, name: str) -> Study:
    """The study of params/study/NAME.yaml. Raises `UserError` if it is unknown or wrong."""
    path = params / "study" / f"{compose.choose(params, 'study', name)}.yaml"
    content = load(path)
    where = f"study.{name}"
    if isinstance(content.get("arms"), Mapping):  # YAML reads the label 64 as a number
        content["arms"] = {str(label): arm for label, arm in content["arms"].items()}
    study: Study = build({"_target_": "unlabel.params.study.Study", **content}, where)
    if len(set(study.seeds)) < len(study.seeds):
        raise UserError(f"{where}.seeds has a seed twice, which would count one run as two")
    if bool(study.claims) != bool(study.statement):
        has, lacks = ("claims", "statement") if study.claims else ("statement", "claims")
        raise UserError(
            f"{where} has a {has}, but no {lacks}; a statement is what its claims say together"
            if has == "statement"
            else f"{where} has {has}, but no {lacks} that they would prove; write one"
        )
    if study.claims and 0 < len(study.seeds) < SEEDS:
        raise UserError(
            f"{where} has claims, but {_count(len(study.seeds), 'seed')}, of which nothing can be "
            f"said for sure; give it {SEEDS} or more"
        )
    sources(study.source, f"{where}.source")
    study.claimed(params)
    if study.repeats:
        compose.choose(params, "study", study.repeats)
    for target in study.transfer:
        compose.choose(params, "dataset", target)
    return study


def stated(params: Path) -> list[str]:
    """The studies that test a statement, and repeat no other."""
    files = {name: params / "study" / f"{name}.yaml" for name in compose.names(params, "study")}
    found = {name: load(file) for name, file in files.items()}
    return [n for n, each in found.items() if each.get("statement") and not each.get("repeats")]


def sources(source: Any, where: str = "source") -> list[dict[str, str]]:
    """Each source's title, arxiv number and place. Raises `UserError` for another form."""
    found = []
    for each in source if isinstance(source, list) else [source] if source else []:
        each = {"title": each} if isinstance(each, str) else each
        if not isinstance(each, Mapping):
            raise UserError(f"{where} is {each!r}, but must be a text, or {', '.join(SOURCE)}")
        for key in each:
            if key not in SOURCE:
                raise UserError(f"{where}.{key} is not known; {did_you_mean(str(key), SOURCE)}")
        found.append({key: str(each.get(key, "")) for key in SOURCE})
    return found


def needs(metrics: list[str], targets: list[str]) -> dict[str, bool]:
    """Which of a run's later stages make any of these metrics: probe, finetune, transfer."""
    kinds = [_stage(name, targets) for name in metrics]
    return {stage: stage in kinds for stage in ("probe", "finetune", "transfer")}


def _stage(metric: str, targets: list[str]) -> str:
    if metric.startswith(("log.", "run.")):
        return "pretrain"
    if metric.startswith(("finetune_", "validation_finetune_")):
        return "finetune"
    return "transfer" if metric.startswith(tuple(f"{each}_" for each in targets)) else "probe"


def _arm(label: str, content: Any, crossed: list[str] | str, settings: list[str]) -> Arm:
    where = f"arms.{label}"
    methods, overrides = list(crossed), content
    if isinstance(content, Mapping):
        known = ("methods", "overrides")
        for key in content:
            if key not in known:
                raise UserError(f"{where}.{key} is not known; {did_you_mean(str(key), known)}")
        methods, overrides = content.get("methods", methods), content.get("overrides", [])
    for value, what in ((methods, "methods"), (overrides, "overrides")):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UserError(f"{where} has the {what} {value!r}, but they must be a list of texts")
    if "]" in label or "[" in label:
        raise UserError(f"{where} has a bracket in its label, which claims could not name")
    # What an arm sets, it sets in place of what the study sets for all.
    keys = {override.split("=")[0]: override for override in [*settings, *overrides]}
    return Arm(label, tuple(methods), tuple(keys.values()), plain=not overrides)


def _whole(term: Term, groups: list[Arm], metric: str, where: str) -> Term:
    """The term with its arm and metric named."""
    known = list(dict.fromkeys(method for arm in groups for method in arm.methods))
    if term.method not in known:
        raise UserError(
            f"{where} is about {term.method!r}, which the study does not run; "
            f"{did_you_mean(term.method, known)}"
        )
    arms = [arm for arm in groups if term.method in arm.methods]
    labels = [arm.label for arm in arms]
    label = term.arm
    if label is None:
        plain = [arm.label for arm in arms if arm.plain]
        label = (
            BASE if BASE in labels else (plain or (labels if len(labels) == 1 else []) or [""])[0]
        )
        if not label:
            raise UserError(
                f"{where} does not say which arm of {term.method} it means; "
                f"write {term.method}[{labels[0]}]"
            )
    if label not in labels:
        raise UserError(
            f"{where}: {term.method} has no arm {label!r}; {did_you_mean(label, labels)}"
        )
    return Term(term.method, label, term.metric or metric)


def _count(number: int, word: str) -> str:
    return f"one {word}" if number == 1 else f"{number} {word}s"
