"""Which measures there will be, known before anything is trained.

A probe says nowhere what it measures; so it is asked to measure random features.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch

from unlabel.errors import UserError, did_you_mean
from unlabel.features.parquet import ALL, Features, Split, Views
from unlabel.fingerprint import targets, words
from unlabel.params.settings import build
from unlabel.probe import Probe, named, percent
from unlabel.probe.finetune import Finetune
from unlabel.training.loop import Training

IMAGES, CLASSES = 40, 4  # of each split
FACTOR = "FACTOR"  # stands for those of a dataset, which nobody knows before it is prepared


def check(
    metric: str,
    settings: Mapping[str, Any],
    transfer: Iterable[str],
    where: str,
    labelled: bool = True,
) -> None:
    """Raise `UserError` if no run of these settings will have the metric."""
    kind, _, name = metric.partition(".")
    if kind in ("log", "run") and name:
        modules = {"log": ["unlabel.training.log", *targets(settings["method"])], "run": []}[kind]
        known = words("unlabel.stage.pretrain", *modules)
        fits = name in known or re.fullmatch(r"loss(_\d+)?", name) is not None
        prefix = f"{kind}."
    else:
        known, prefix, name = measured(settings, transfer, labelled), "", metric
        fits = metric in known or any(
            re.fullmatch(re.escape(each).replace(FACTOR, r"[a-z]\w*"), metric) for each in known
        )
    if not fits:
        near = did_you_mean(name, known).replace("did you mean '", f"did you mean '{prefix}")
        raise UserError(f"{where} is about the metric {metric!r}, which no run has; {near}")


def check_size(settings: Mapping[str, Any], where: str) -> None:
    """Raise `UserError` if a batch is larger than the number of images that are trained on."""
    training: Training = build(settings["training"], "training")
    if training.images is not None:
        try:
            training.steps(training.images)
        except UserError as error:
            raise UserError(f"in {where}: {error}") from error


def measured(
    settings: Mapping[str, Any], transfer: Iterable[str] = (), labelled: bool = True
) -> frozenset[str]:
    """The names of all metrics of the probes, of fine-tuning and of transfer to other datasets.

    Where the images are not `labelled`, of what needs no labels, and of transfer.
    """
    transforms = [key for key in settings["features"]["transforms"] if key != "_target_"]
    names = set(_measured(json.dumps(settings["probe"]), (ALL, *transforms), labelled))
    finetune: Finetune = build(settings["finetune"], "finetune")
    for fraction in finetune.fractions if labelled else ():
        names |= {f"finetune_{percent(fraction)}", f"validation_finetune_{percent(fraction)}"}
    probes = {name: settings["probe"][name] for name in settings["transfer"]["probes"]}
    moved = _measured(json.dumps(probes), (), True)
    return frozenset(names | {named(each, target) for target in transfer for each in moved})


@cache
def _measured(probes: str, transforms: tuple[str, ...], labelled: bool) -> frozenset[str]:
    names = set[str]()
    for name, recipe in json.loads(probes).items():
        probe: Probe = build(recipe, f"probe.{name}")
        if labelled or not probe.labels:
            names.update(probe.measure(_features(transforms), 0))
    return frozenset(names)


def _features(transforms: Iterable[str]) -> Features:
    """Random features of a few images with a label and a factor, and a projector's."""
    draw = torch.Generator().manual_seed(0)
    label = torch.arange(IMAGES) % CLASSES

    def random() -> torch.Tensor:
        return torch.randn(IMAGES, 3, generator=draw)

    train, validation, test = (
        Split(torch.arange(IMAGES) + start, label, label[:, None] // 2, random(), random())
        for start in (0, IMAGES, 2 * IMAGES)
    )
    views = {
        name: Views(torch.arange(IMAGES), random(), random(), random(), random())
        for name in transforms
    }
    classes = tuple(map(str, range(CLASSES)))
    return Features(train, validation, test, views, classes, {FACTOR: ("a", "b")})
