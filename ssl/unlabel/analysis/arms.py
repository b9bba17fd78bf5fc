"""Runs that differ in nothing but the seed, and the arms that can be compared with each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from unlabel.analysis import run_results
from unlabel.analysis.estimate import Estimate, difference, estimate
from unlabel.analysis.frozen_study import BASE, About, FrozenStudy
from unlabel.analysis.run_results import Result
from unlabel.errors import UserError, did_you_mean
from unlabel.run import BASELINE, Run


@dataclass(frozen=True)
class Arm:
    """One method in one variant; its results have different seeds and are sorted by them."""

    method: str
    variant: str
    label: str  # the study's name for the variant
    about: About
    results: tuple[Result, ...]

    @property
    def key(self) -> str:
        """Its name in files, where it must be one and the same for ever."""
        return self.method if self.variant == BASE else f"{self.method}/{self.variant}"

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.method if self.label == BASE else f"{self.method}, {self.label}"

    @property
    def reference(self) -> bool:
        """Is it there to be compared with, rather than to be chosen?"""
        return self.about.family == "reference"

    @property
    def labels(self) -> bool:
        """Does it see labels?"""
        return any(each.about.get("labels") for each in self.results)

    @property
    def trained(self) -> bool:
        """Does it train at all?"""
        return any(each.trained for each in self.results)

    @property
    def collapsed(self) -> tuple[Result, ...]:
        """The results that collapsed."""
        return tuple(each for each in self.results if each.collapse)

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics that a result has, sorted."""
        return sorted({name for each in self.results for name in each.metrics})

    def values(self, metric: str) -> dict[int, float]:
        """The seeds' values, where there is one."""
        found = {each.seed: each.value(metric) for each in self.results}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, metric: str) -> Estimate | None:
        """Over the seeds; None where none has this metric."""
        return estimate(list(self.values(metric).values()))

    def facts(self, name: str) -> list[float]:
        """The number `name` of each run.json that has it."""
        return [float(e.about[name]) for e in self.results if e.about.get(name) is not None]


@dataclass(frozen=True)
class Comparison:
    """A dataset and an encoder: within one, arms can be compared."""

    dataset: str
    encoder: str
    arms: tuple[Arm, ...]

    @property
    def results(self) -> list[Result]:
        """Of all arms."""
        return [each for arm in self.arms for each in arm.results]

    @property
    def contestants(self) -> list[Arm]:
        """The arms that are no references and see no labels."""
        return [arm for arm in self.arms if not arm.reference and not arm.labels]

    def baseline(self, arm: Arm) -> Arm | None:
        """The untrained encoder to compare with: in the same variant, or else as it is by default.

        None for the untrained encoder itself.
        """
        found = {each.variant: each for each in self.arms if each.method == BASELINE}
        default = found.get(BASE, next(iter(found.values()), None))
        return None if arm.method == BASELINE else found.get(arm.variant, default)

    def gain(self, arm: Arm, metric: str) -> Estimate | None:
        """How much better than its baseline, seed by seed."""
        if (baseline := self.baseline(arm)) is None:
            return None
        return difference(arm.values(metric), baseline.values(metric))

    def ranked(self, metric: str) -> list[Arm]:
        """The arms, best first; those without the metric last."""
        means = {arm.key: found.mean for arm in self.arms if (found := arm.estimate(metric))}
        return sorted(self.arms, key=lambda arm: -means.get(arm.key, float("-inf")))


def gather(brief: FrozenStudy, runs: Path) -> list[Comparison]:
    """Read all runs of the report, in its order of display.

    Raises `UserError` for a broken run, and if no run has the metric that answers the question.
    """
    results = {planned.run: run_results.read(planned, runs) for planned in brief.runs}
    known = {name for each in results.values() for name in each.metrics}
    if brief.metric not in known and not brief.metric.startswith(("log.", "run.")):
        raise UserError(
            f"no run has the metric {brief.metric!r}; {did_you_mean(brief.metric, known)}"
        )
    settings: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for each in results.values():
        run = each.planned
        arms = settings.setdefault((run.dataset, run.encoder), {})
        arms.setdefault(f"{run.method}/{run.variant}", []).append(each)
    return [
        Comparison(dataset, encoder, tuple(_arm(arm, brief.methods) for arm in arms.values()))
        for (dataset, encoder), arms in settings.items()
    ]


def compare(brief: FrozenStudy, runs: Path) -> list[Comparison]:
    """Read all runs of a study, by the arms that it names; a dataset is one setting.

    A run may be in several arms. Raises `UserError` for a broken run.
    """

    def wanted(probe: str) -> bool:
        return brief.stages.get("finetune" if probe == "finetune" else "probe", False)

    results: dict[Run, Result] = {}
    settings: dict[str, dict[tuple[str, str], list[Result]]] = {}
    for planned in brief.runs:
        if planned.run not in results:
            results[planned.run] = run_results.read(planned, runs, wanted, brief.transfer)
        arms = settings.setdefault(planned.dataset, {})
        found = replace(results[planned.run], planned=planned)
        arms.setdefault((planned.method, planned.arm), []).append(found)
    return [
        Comparison(
            dataset,
            ", ".join(sorted({each.planned.encoder for arm in arms.values() for each in arm})),
            tuple(_arm(arm, brief.methods) for arm in arms.values()),
        )
        for dataset, arms in settings.items()
    ]


def _arm(results: Iterable[Result], methods: Mapping[str, About]) -> Arm:
    seeds = tuple(sorted(results, key=lambda each: each.seed))
    run = seeds[0].planned
    return Arm(run.method, run.variant, run.arm, methods[run.method], seeds)
