"""Which measures there will be, known before anything is trained.

A probe says nowhere what it measures; so it is asked to measure random features.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch

from unlabel.code import targets, words
from unlabel.errors import UserError, nearest
from unlabel.features import Features, Split
from unlabel.probe import Probe, percent
from unlabel.probe.finetune import Finetune
from unlabel.settings import build
from unlabel.training import Training

IMAGES, CLASSES = 40, 4  # of each split
FACTOR = "FACTOR"  # stands for those of a dataset that is not prepared yet


def check(metric: str, settings: Mapping[str, Any], transfer: Iterable[str], where: str) -> None:
    """Raise `UserError` if no run of these settings will have the metric."""
    kind, _, name = metric.partition(".")
    if kind in ("log", "run") and name:
        modules = {"log": ["unlabel.log", *targets(settings["method"])], "run": []}[kind]
        known = words("unlabel.stage.pretrain", *modules)
        fits = name in known or re.fullmatch(r"loss(_\d+)?", name) is not None
        prefix = f"{kind}."
    else:
        names = measured(settings)
        known = frozenset(names | {f"{target}_{each}" for target in transfer for each in names})
        fits = metric in known or any(
            re.fullmatch(re.escape(each).replace(FACTOR, r"\w+"), metric) for each in known
        )
        prefix, name = "", metric
    if not fits:
        near = nearest(name, known)
        raise UserError(
            f"{where} is about the metric {metric!r}, which no run has; "
            + (near.replace("did you mean '", f"did you mean '{prefix}") if prefix else near)
        )


def check_size(settings: Mapping[str, Any], where: str) -> None:
    """Raise `UserError` if a batch is larger than the number of images that are trained on."""
    training: Training = build(settings["training"], "training")
    if training.images is not None:
        try:
            training.steps(training.images)
        except UserError as error:
            raise UserError(f"in {where}: {error}") from error


def measured(settings: Mapping[str, Any]) -> set[str]:
    """The names of all metrics of the probes and of fine-tuning in a run's settings."""
    return set(_measured(json.dumps({key: settings[key] for key in ("probe", "finetune")})))


@cache
def _measured(text: str) -> frozenset[str]:
    settings, names = json.loads(text), set[str]()
    for name, recipe in settings["probe"].items():
        probe: Probe = build(recipe, f"probe.{name}")
        names.update(probe.measure(_features(), 0))
    finetune: Finetune = build(settings["finetune"], "finetune")
    for fraction in finetune.fractions:
        names |= {f"finetune_{percent(fraction)}", f"validation_finetune_{percent(fraction)}"}
    return frozenset(names)


def _features() -> Features:
    """Random features of a few images, with a projector."""
    draw = torch.Generator().manual_seed(0)
    label = torch.arange(IMAGES) % CLASSES
    splits = [
        Split(torch.arange(IMAGES) + start, label, *torch.randn(2, IMAGES, 3, generator=draw))
        for start in (0, IMAGES, 2 * IMAGES)
    ]
    views = torch.randn(2, IMAGES, 3, generator=draw)
    classes = tuple(map(str, range(CLASSES)))
    return Features(splits[0], splits[1], splits[2], (views[0], views[1]), classes)
