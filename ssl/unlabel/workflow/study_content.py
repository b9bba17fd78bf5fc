"""What a frozen study tells its pages, and the checks of a study before anything is trained."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from unlabel.analysis.metric import Metrics
from unlabel.errors import UserError
from unlabel.params import compose
from unlabel.params import study as studies
from unlabel.params.claim import Claim, Term
from unlabel.params.study import Study
from unlabel.run import BASELINE, Run
from unlabel.workflow import declared_metrics
from unlabel.workflow.freeze import digest
from unlabel.workflow.planned_datasets import PlannedDatasets
from unlabel.workflow.planned_probes import PlannedProbes
from unlabel.workflow.planned_runs import MEASURE, PlannedRuns

TUNING = "tuning"  # the study that tries settings of each method


def content(
    study: Study, budget: str, runs: PlannedRuns, datasets: PlannedDatasets
) -> dict[str, Any]:
    """Plan all runs of a study, and describe it: its runs, its methods, and all their metrics.

    Raises `UserError` if a run is wrong, or cannot work with its images.
    """
    arms = study.runs(runs.params, budget)
    planned = []
    for arm, run in arms:
        runs.add(run)
        datasets.parameters(run.dataset)
        runs.fit(run, datasets.expected(run.dataset))
        planned.append(asdict(run) | {"arm": arm, "folder": run.folder} | _shown(runs, run))
    variants = {replace(run, seed=0): run for _, run in arms}.values()
    declared = (_declared(study, run, runs, datasets) for run in variants)
    tried = _tried(runs.params, budget)
    return asdict(study) | {
        "budget": budget,
        "runs": planned,
        "methods": {
            run.method: (runs.settings(run).get("about") or {}) | tried.get(run.method, {})
            for run in sorted(variants, key=lambda run: run.method, reverse=True)
        },
        "probes": [*compose.probes(runs.params), "finetune", *study.probes],
        "declared": Metrics.frozen(declared_metrics.joined(dict.fromkeys(declared))),
    }


def _tried(params: Path, budget: str) -> dict[str, dict[str, int]]:
    """How many settings of each method the study `tuning` tries, if it runs at this budget."""
    if TUNING not in compose.names(params, "study"):
        return {}
    tuning = studies.read(params, TUNING)
    arms = tuning.groups(params) if tuning.budget == budget else []
    counts = Counter(name for arm in arms for name in arm.methods)
    return {name: {"tried": number} for name, number in counts.items() if number > 1}


def of_pages(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The content for the report and for each method's page, by the stage and what it is about."""
    return {"report": content} | {
        f"method {name}": _of_method(content, name) for name in content["methods"]
    }


def _of_method(content: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The content for a method's page: its runs, and the untrained ones."""
    kept = (method, BASELINE)
    runs = [run for run in content["runs"] if run["method"] in kept]
    methods = {name: about for name, about in content["methods"].items() if name in kept}
    return {**content, "runs": runs, "methods": methods, "method": method}


def made(
    study: Study, budget: str, needed: Mapping[str, bool], runs: PlannedRuns
) -> dict[str, tuple[str, list[str]]]:
    """The digest of the settings of each stage that makes a study's result, and their targets.

    `needed` says which stages are; the settings are without what differs between seeds.
    """
    planned = [run for _, run in study.runs(runs.params, budget)]
    variants = _unseeded(planned)
    found = {}
    own = {f"{MEASURE} {name}": True for name in study.probes}
    others = {name: is_needed for name, is_needed in needed.items() if name not in study.probes}
    wanted = {"pretrain": True, "features": needed["probe"] or bool(own), **others, **own}
    for stage in (stage for stage, is_needed in wanted.items() if is_needed):
        counted = [*variants, *(_unseeded(_before(planned, runs)) if stage == "pretrain" else [])]
        parts = [runs.like(run, stage) for run in counted]
        named = sorted({target for _, targets in parts for target in targets})
        found[stage] = (digest(json.dumps([text for text, _ in parts]).encode()), named)
    claims = [asdict(each) for each in study.claims]
    judged = json.dumps([claims, study.seeds, study.looks, study.margin])
    return found | {"look": (digest(judged.encode()), [])}


def datasets(study: Study, budget: str, runs: PlannedRuns, probes: PlannedProbes) -> list[str]:
    """The datasets whose images a study's result depends on, once its runs are planned."""
    planned = [run for _, run in study.runs(runs.params, budget)]
    compared = [probes.others(run, name) for run in _unseeded(planned) for name in study.probes]
    trained = [run.dataset for run in (*planned, *_before(planned, runs))]
    return list(dict.fromkeys([*trained, *study.transfer, *chain(*compared)]))


def _before(planned: Iterable[Run], runs: PlannedRuns) -> list[Run]:
    """The runs whose encoders planned runs start from or learn from, directly or not."""
    found, rest = dict[Run, None](), [*planned]
    while rest:
        named = [Run.of(path) for run in rest for path in runs.weights(run)]
        rest = [run for run in dict.fromkeys(named) if run not in found]
        found |= dict.fromkeys(rest)
    return [*found]


def _unseeded(planned: Iterable[Run]) -> list[Run]:
    """Each of some runs once, whatever its seed."""
    return [*dict.fromkeys(replace(run, seed=0) for run in planned)]


def check(
    study: Study,
    budget: str,
    claims: Sequence[Claim],
    runs: PlannedRuns,
    datasets: PlannedDatasets,
) -> None:
    """Raise `UserError` if what is compared lacks one of the metrics, or has the same settings."""
    planned = {(run.dataset, run.method, arm): run for arm, run in study.runs(runs.params, budget)}
    _check_sides(claims, {key[1:]: run for key, run in planned.items()}, runs)
    first = {run.dataset: run for run in reversed(planned.values())}
    terms = [term for each in claims for term in each.terms]
    for metric in study.metrics():
        arms = {(term.method, term.arm) for term in terms if term.metric == metric}
        compared = [run for (_, *arm), run in planned.items() if tuple(arm) in arms]
        for run in compared or first.values():
            where = f"the study {study.title!r}"
            if not datasets.labelled(run.dataset):
                where += f" on {run.dataset}, which has no labels,"
            elif (size := datasets.expected(run.dataset).size) and size[0] != size[1]:
                where += f" on {run.dataset}, whose images are not square,"
            declared_metrics.check(metric, _declared(study, run, runs, datasets), where)


def _check_sides(
    claims: Sequence[Claim], planned: Mapping[tuple[str, str | None], Run], runs: PlannedRuns
) -> None:
    """Raise `UserError` if both sides of a claim have the same settings, as `2e-3` and `0.002`."""
    for claim in claims:
        rest = Counter[tuple[str, str | None]]()
        for sign, side in ((1, claim.left), (-1, claim.right)):
            for own, term in side.parts:
                if isinstance(term, Term):
                    settings = runs.settings(planned[term.method, term.arm]) | {"about": None}
                    rest[json.dumps(settings, sort_keys=True), term.metric] += sign * own
        if not any(rest.values()):
            raise UserError(
                f"the claim {claim.says!r} has the same settings on both sides ({claim.left} and "
                f"{claim.right}); compare arms that differ"
            )


def _declared(
    study: Study, run: Run, runs: PlannedRuns, datasets: PlannedDatasets
) -> declared_metrics.Declared:
    known = datasets.expected(run.dataset)
    settings = runs.settings(run)
    return declared_metrics.declared(settings, study.transfer, known.labelled, known.size)


def _shown(runs: PlannedRuns, run: Run) -> dict[str, Any]:
    """What pages tell of a run's settings."""
    settings = runs.trained_by(run)
    training = {key: settings["training"][key] for key in ("epochs", "images", "batch")}
    return {"encoder": settings["encoder"]["_target_"].split(".")[-2]} | training
