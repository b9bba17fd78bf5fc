"""A study: a question, the runs that answer it, and the claims about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.params import claim, compose
from unlabel.params.arm import Arm, check_once, key_of, resolved
from unlabel.params.claim import Claim
from unlabel.params.looks import SEEDS, seeds_of_looks
from unlabel.params.measured import own_probes
from unlabel.params.settings import build
from unlabel.params.source import sources
from unlabel.params.written import load
from unlabel.run import BASE, Run

MARGIN = 0.01  # a difference of shares (one point) inside it counts as none


@dataclass(frozen=True)
class Study:
    """Every method runs on every dataset, in each of its arms, with every seed."""

    title: str
    question: str
    datasets: list[str]
    seeds: list[int]  # of all looks
    metric: str  # the one that answers the question
    methods: list[str] | str = "all"  # those of params/method
    # label -> overrides; or {methods: [...], overrides: [...]}, for some methods alone
    arms: dict[str, Any] = field(default_factory=lambda: {BASE: []})
    settings: list[str] = field(default_factory=list)  # overrides that all arms have
    references: list[str] = field(default_factory=list)  # methods to compare with, in no arm
    axis: str = ""  # what the arms' labels mean
    transfer: list[str] = field(default_factory=list)  # other datasets to try the encoders on
    probes: list[str] = field(default_factory=list)  # to measure beside those of every run
    looks: list[int] = field(default_factory=list)  # numbers of seeds; empty for all at once
    margin: float = MARGIN
    budget: str = ""  # the one it runs at where nobody asks for another
    statement: str = ""  # what the study tests
    repeats: str = ""  # the study whose statement it tests again; only that one counts
    source: Any = ""  # who says so: a text, or title, arxiv and where, or a list of these
    expected: str = ""  # what they found
    remark: str = ""  # what to know about the result here
    claims: list[Any] = field(default_factory=list)  # together the statement; `read` parses them
    left_out: dict[str, str] = field(default_factory=dict)  # what the plan cannot run -> why

    @property
    def first(self) -> "Study":
        """The study at its first look."""
        return replace(self, seeds=self.seeds[: self.looks[0]], looks=[]) if self.looks else self

    def groups(self, params: Path) -> list[Arm]:
        """The arms, and the references as an arm `base`. Raises `UserError` for a wrong one."""
        crossed = self._crossed(params)
        groups = [
            Arm.of(str(label), arm, crossed, self.settings) for label, arm in self.arms.items()
        ]
        known = {(method, arm.label) for arm in groups for method in arm.methods}
        alone = tuple(method for method in self.references if (method, BASE) not in known)
        if alone:
            groups.append(Arm(BASE, alone, tuple(self.settings), plain=True))
        return groups

    def _crossed(self, params: Path) -> list[str]:
        """The methods of arms that name none."""
        return compose.names(params, "method") if self.methods == "all" else list(self.methods)

    def all_methods(self, params: Path) -> list[str]:
        """The methods of all arms."""
        return list(dict.fromkeys(name for arm in self.groups(params) for name in arm.methods))

    def without(self, methods: Sequence[str], params: Path) -> "Study":
        """The study without these methods, and without arms that then have none."""

        def rest(names: Sequence[str]) -> list[str]:
            return [name for name in names if name not in methods]

        arms = {}
        for label, arm in self.arms.items():
            if isinstance(arm, Mapping) and "methods" in arm:
                arm = {**arm, "methods": rest(arm["methods"])}
                if not arm["methods"]:
                    continue
            arms[label] = arm
        crossed = self._crossed(params)
        return replace(self, methods=rest(crossed), arms=arms, references=rest(self.references))

    def without_runs(self, left_out: Mapping[tuple[str, str], str], params: Path) -> "Study":
        """The study without some pairs of an arm's label and a method, which map to the reasons."""
        arms: dict[str, Any] = {}
        for arm in self.groups(params):
            content = self.arms.get(arm.label, [])
            overrides = content.get("overrides", []) if isinstance(content, Mapping) else content
            kept = [name for name in arm.methods if (arm.label, name) not in left_out]
            kept = arms.get(arm.label, {"methods": []})["methods"] + kept
            if kept:
                arms[arm.label] = {"methods": kept, "overrides": overrides}
        methods = dict.fromkeys(name for arm in arms.values() for name in arm["methods"])
        said = {
            method if label == BASE else f"{method}[{label}]": why
            for (label, method), why in left_out.items()
        }
        references = [name for name in self.references if name in methods]
        rest = replace(self, methods=list(methods), references=references, arms=arms)
        return replace(rest, left_out=self.left_out | said)

    def runs(self, params: Path, budget: str) -> list[tuple[str, Run]]:
        """All runs to train, each with its arm. Raises `UserError` if there are none."""
        groups = self.groups(params)
        runs = [
            (arm.label, Run(budget, dataset, method, arm.variant, seed))
            for dataset in self.datasets
            for method in self.all_methods(params)
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

    def resolved_claims(self, params: Path) -> list[Claim]:
        """The claims, with the arm and the metric of each term filled in.

        Raises `UserError` for a claim about a method or an arm that the study does not run.
        """
        groups = self.groups(params)

        def whole(each: Claim, where: str) -> Claim:
            return each.map(lambda term: resolved(term, groups, each.metric, where))

        return [whole(each, _where(self, at)) for at, each in enumerate(self.claims, 1)]

    def metrics(self) -> list[str]:
        """The metrics that its verdict and its charts show, each once."""
        return list(
            dict.fromkeys([self.metric, *(m for each in self.claims for m in each.metrics)])
        )


def read(params: Path, name: str) -> Study:
    """The study of params/study/NAME.yaml. Raises `UserError` if it is unknown or wrong."""
    path = params / "study" / f"{compose.choose(params, 'study', name)}.yaml"
    content = load(path)
    where = f"study.{name}"
    if "left_out" in content:
        raise UserError(f"{where}.left_out is what the plan finds; take it out")
    content |= seeds_of_looks(content, where)
    if "arms" in content:
        content["arms"] = _labelled(content["arms"], f"{where}.arms")
    study: Study = build({"_target_": "unlabel.params.study.Study", **content}, where)
    parsed = [
        claim.parse(each, study.metric, _where(study, at))
        for at, each in enumerate(study.claims, 1)
    ]
    study = replace(study, claims=parsed)
    _check_lists(study, where)
    if bool(study.claims) != bool(study.statement):
        has, lacks = ("claims", "statement") if study.claims else ("statement", "claims")
        raise UserError(
            f"{where} has a {has}, but no {lacks}; a statement is what its claims say together"
            if has == "statement"
            else f"{where} has {has}, but no {lacks} for them to prove; write one"
        )
    if study.claims and 0 < len(study.seeds) < SEEDS:
        raise UserError(
            f"{where} has claims, but {_count(len(study.seeds), 'seed')}, which can prove nothing; "
            f"give it {SEEDS} or more"
        )
    if isinstance(study.margin, bool) or not study.margin > 0:
        raise UserError(f"{where}.margin is {study.margin!r}, but must be above 0")
    if study.budget:
        compose.choose(params, "budget", study.budget)
    sources(study.source, f"{where}.source")
    study.resolved_claims(params)
    if study.repeats:
        _check_repeated(params, study.repeats, where)
    for target in study.transfer:
        compose.choose(params, "dataset", target)
    return replace(study, probes=own_probes(params, study.probes, study.metrics()))


def _labelled(arms: Any, where: str) -> dict[str, Any]:
    """The arms by labels that are texts: YAML reads the label 64 as a number."""
    if not isinstance(arms, Mapping):
        raise UserError(f"{where} is {arms!r}, but must be labels, each with a list of overrides")
    check_once([str(label) for label in arms], where)
    return {str(label): arm for label, arm in arms.items()}


def _check_lists(study: Study, where: str) -> None:
    """Raise `UserError` for lists that would train a run twice, or none."""
    if isinstance(study.methods, str) and study.methods != "all":
        raise UserError(
            f"{where}.methods is {study.methods!r}, but must be a list of methods, or all"
        )
    if any(seed < 0 for seed in study.seeds):
        raise UserError(f"{where}.seeds has {min(study.seeds)}, but a seed must be 0 or more")
    if len(set(study.seeds)) < len(study.seeds):
        raise UserError(f"{where}.seeds has a seed twice, which would count one run as two")
    for key in ("datasets", "methods", "references", "transfer", "probes"):
        if isinstance(names := getattr(study, key), list):
            check_once(names, f"{where}.{key}")
    check_once([key_of(each) for each in study.settings], f"{where}.settings")


def _check_repeated(params: Path, name: str, where: str) -> None:
    """Raise `UserError` unless a study tests a statement of its own, which another can repeat."""
    other = load(params / "study" / f"{compose.choose(params, 'study', name)}.yaml")
    if not other.get("statement") or other.get("repeats"):
        raise UserError(
            f"{where}.repeats names {name!r}, which tests no statement of its own; name a study "
            "that does"
        )


def names(params: Path) -> list[str]:
    """The names of all studies.

    Raises `UserError` if there is none: `params` is another folder, and to take it for one of no
    studies would make all runs and verdicts count as of no use.
    """
    if found := compose.names(params, "study"):
        return found
    raise UserError(f"{params}/study has no study; name the folder of all settings with --params")


def stated(params: Path) -> list[str]:
    """The studies that test a statement and do not repeat another study."""
    files = {name: params / "study" / f"{name}.yaml" for name in names(params)}
    found = {name: load(file) for name, file in files.items()}
    return [n for n, each in found.items() if each.get("statement") and not each.get("repeats")]


def _where(study: Study, number: int) -> str:
    return f"claim {number} of the study {study.title!r}"


def _count(number: int, word: str) -> str:
    return f"one {word}" if number == 1 else f"{number} {word}s"
