"""The metrics that runs will have, as methods, probes and the log declare them before training."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from inspect import signature
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.method import Method
from unlabel.metric import Metric, find
from unlabel.params.settings import Settings, build, target
from unlabel.probe import Probe, transferred
from unlabel.run import NUMBERS
from unlabel.training import log

Declared = tuple[Metric, ...]
OF_TRAINING = ("log.", "run.")  # how the names begin that no probe measures


def declared(
    settings: Settings,
    transfer: Iterable[str] = (),
    labelled: bool = True,
    size: tuple[int, int] | None = None,
) -> Declared:
    """All metrics of a run with these settings, and of its `transfer` to other datasets.

    Where the images are not `labelled`, only those that need no labels, and those of transfer. A
    transform that cannot do with images of this `size` measures nothing.
    """
    recipe = settings["features"]["transforms"]
    if size is None:
        transforms = [key for key in recipe if key != "_target_"]
    else:
        transforms = list(build(recipe, "features.transforms").fitting(size).transforms)
    probes = settings["probe"] | settings.get("measure", {}) | {"finetune": settings["finetune"]}
    moved = {name: settings["probe"][name] for name in settings["transfer"]["probes"]}
    # Many runs differ in what no metric depends on.
    recipes = (json.dumps(each) for each in (settings["method"], probes, moved))
    monitored = labelled and settings["monitor"]["every"] is not None
    return _declared(*recipes, tuple(transforms), tuple(transfer), labelled, monitored)


def joined(several: Iterable[Declared]) -> list[Metric]:
    """The metrics of several runs, each once.

    Raises `UserError` for a name that means two things.
    """
    found: dict[str, Metric] = {}
    for metric in (metric for metrics in several for metric in metrics):
        there = found.setdefault(metric.name, metric)
        if there != metric:
            raise UserError(
                f"the metric {metric.name!r} is declared as {there.title!r} and as "
                f"{metric.title!r}; rename one, or declare both alike"
            )
    return list(found.values())


def check(name: str, metrics: Sequence[Metric], where: str) -> None:
    """Raise `UserError` if no metric has this `name`; it names the nearest one."""
    if find(name, metrics) is None:
        kind = _kind(name)
        known = [each.name.removeprefix(kind) for each in metrics if _kind(each.name) == kind]
        near = did_you_mean(name.removeprefix(kind), known)
        near = near.replace("did you mean '", f"did you mean '{kind}")
        raise UserError(f"{where} is about the metric {name!r}, which no run has; {near}")


def _kind(name: str) -> str:
    return name[:4] if name.startswith(OF_TRAINING) else ""


@cache
def _declared(
    method: str,
    probes: str,
    moved: str,
    transforms: Sequence[str],
    transfer: Sequence[str],
    labelled: bool,
    monitored: bool,
) -> Declared:
    logged, projector = _method(json.loads(method))
    metrics = [metric for metric in _probed(probes) if labelled or not metric.labels]
    # An encoder is tried on another dataset without its projector.
    taken = [metric for metric in _probed(moved) if not metric.projector]
    metrics += [transferred(metric, dataset) for dataset in transfer for metric in taken]
    metrics += [_prefixed("log", metric) for metric in log.columns(logged, monitored)]
    metrics += [_prefixed("run", metric) for metric in NUMBERS]
    fitting = [metric for metric in metrics if projector or not metric.projector]
    return tuple(each for metric in fitting for each in _of_each(metric, transforms))


def _method(settings: Settings) -> tuple[Sequence[Metric], bool]:
    """The metrics that a method logs, and whether it has a projector."""
    method: type[Method] = target(settings, "method")
    parameters = signature(method).parameters.values()
    defaults: Mapping[str, Any] = {each.name: each.default for each in parameters}
    return method.logged({**defaults, **settings}), method.embed is not Method.embed


@cache
def _probed(recipes: str) -> Declared:
    """The metrics that the probes of recipes declare; the recipes are JSON."""
    found: list[Metric] = []
    for name, recipe in json.loads(recipes).items():
        probe: Probe = build(recipe, f"probe.{name}")
        found += probe.metrics()
    return tuple(found)


def _prefixed(kind: str, metric: Metric) -> Metric:
    return replace(metric, name=f"{kind}.{metric.name}")


def _of_each(metric: Metric, transforms: Sequence[str]) -> Iterable[Metric]:
    """A metric of each transform. Factors stay open: they are known once a dataset is prepared."""
    if "{transform}" not in metric.name:
        return [metric]
    return [metric.of(transform=transform) for transform in transforms]
