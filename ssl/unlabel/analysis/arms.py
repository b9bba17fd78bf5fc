"""Arms, whose runs differ only in the seed, and the arms that can be compared with each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from unlabel.analysis import run_results
from unlabel.analysis.estimate import Estimate, difference, estimate
from unlabel.analysis.frozen_study import FrozenStudy, MethodSummary
from unlabel.analysis.metric import Measure, Metrics
from unlabel.analysis.run_results import Result
from unlabel.errors import UserError, did_you_mean
from unlabel.run import BASE, BASELINE, Run


@dataclass(frozen=True)
class Arm:
    """One method in one variant; its results have different seeds and are sorted by them."""

    method: str
    variant: str
    label: str  # the study's name for the variant
    about: MethodSummary
    results: tuple[Result, ...]

    @property
    def key(self) -> str:
        """Its name in files."""
        return self.results[0].planned.run.arm

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.method if self.label == BASE else f"{self.method}, {self.label}"

    @property
    def reference(self) -> bool:
        """Is it only there for comparison?"""
        return self.about.family == "reference"

    @property
    def labels(self) -> bool:
        """Does it see labels?"""
        return any(each.run_info.get("labels") for each in self.results)

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
        """The names of all metrics of its results, sorted."""
        return sorted({name for each in self.results for name in each.metrics})

    def values(self, metric: str) -> dict[int, float]:
        """Each seed's value; seeds without one are left out."""
        found = {each.seed: each.value(metric) for each in self.results}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, metric: str) -> Estimate | None:
        """The mean over the seeds; None if no seed has this metric."""
        return estimate(list(self.values(metric).values()))

    def facts(self, name: str) -> list[float]:
        """The number `name` of each run.json that has it."""
        found = [each.run_info.get(name) for each in self.results]
        return [float(value) for value in found if value is not None]


@dataclass(frozen=True)
class Comparison:
    """The arms on one dataset with one encoder, which can be compared with each other."""

    dataset: str
    encoder: str
    arms: tuple[Arm, ...]
    declared: Metrics

    @property
    def results(self) -> list[Result]:
        """The results of all arms."""
        return [each for arm in self.arms for each in arm.results]

    @property
    def contestants(self) -> list[Arm]:
        """The arms that compete: no references, and none that sees labels."""
        return [arm for arm in self.arms if not arm.reference and not arm.labels]

    def baseline(self, arm: Arm) -> Arm | None:
        """The untrained encoder to compare with: in the same variant, or else in its default one.

        None for the untrained encoder itself.
        """
        found = {each.variant: each for each in self.arms if each.method == BASELINE}
        default = found.get(BASE, next(iter(found.values()), None))
        return None if arm.method == BASELINE else found.get(arm.variant, default)

    def gain(self, arm: Arm, metric: str) -> Estimate | None:
        """The difference to its baseline, paired by seed."""
        if (baseline := self.baseline(arm)) is None:
            return None
        return difference(arm.values(metric), baseline.values(metric))

    def ranked(self, metric: str) -> list[Arm]:
        """The arms, best first; those without the metric last."""
        sign = self.describe(metric).sign
        means = {arm.key: sign * e.mean for arm in self.arms if (e := arm.estimate(metric))}
        return sorted(self.arms, key=lambda arm: -means.get(arm.key, float("-inf")))

    def describe(self, metric: str) -> Measure:
        """What a metric is called and how it is written."""
        return self.declared.describe(metric)


def gather(study: FrozenStudy, runs: Path) -> list[Comparison]:
    """Read all runs of the report, in its order of display.

    Raises `UserError` for a broken run, and if no run has the metric that answers the question.
    """
    results = {each.run: run_results.read(each, runs, study.probes) for each in study.runs}
    known = {name for each in results.values() for name in each.metrics}
    if study.metric not in known and not study.metric.startswith(("log.", "run.")):
        raise UserError(
            f"no run has the metric {study.metric!r}; {did_you_mean(study.metric, known)}"
        )
    comparisons: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for each in results.values():
        run = each.planned
        arms = comparisons.setdefault((run.dataset, run.encoder), {})
        arms.setdefault(f"{run.method}/{run.variant}", []).append(each)
    return [_comparison(study, *where, arms.values()) for where, arms in comparisons.items()]


def compare(
    study: FrozenStudy, runs: Path, results: dict[Run, Result] | None = None
) -> list[Comparison]:
    """Read all runs of a study, in the arms that it names: one comparison for each dataset.

    A run may be in several arms. Those in `results` are known; the others are added to it.

    Raises `UserError` for a broken run.
    """
    stages = study.stages
    wanted = [each for each in study.probes if stages.get(each, stages.get("probe", False))]
    results = {} if results is None else results
    comparisons: dict[str, dict[tuple[str, str], list[Result]]] = {}
    for planned in study.runs:
        if planned.run not in results:
            results[planned.run] = run_results.read(planned, runs, wanted, study.transfer)
        arms = comparisons.setdefault(planned.dataset, {})
        found = replace(results[planned.run], planned=planned)
        arms.setdefault((planned.method, planned.arm), []).append(found)
    found_arms = ((dataset, list(arms.values())) for dataset, arms in comparisons.items())
    return [_comparison(study, dataset, _encoders(arms), arms) for dataset, arms in found_arms]


def _encoders(arms: Iterable[Iterable[Result]]) -> str:
    return ", ".join(sorted({each.planned.encoder for results in arms for each in results}))


def _comparison(
    study: FrozenStudy, dataset: str, encoder: str, arms: Iterable[Iterable[Result]]
) -> Comparison:
    found = tuple(_arm(results, study.methods) for results in arms)
    return Comparison(dataset, encoder, found, study.declared)


def _arm(results: Iterable[Result], methods: Mapping[str, MethodSummary]) -> Arm:
    seeds = tuple(sorted(results, key=lambda each: each.seed))
    run = seeds[0].planned
    return Arm(run.method, run.variant, run.arm, methods[run.method], seeds)
