"""Builds and runs the probes of a run's settings."""

import sys
import time
from collections.abc import Iterator, Mapping

from unlabel.errors import UserError
from unlabel.features.split import Features
from unlabel.metric import find
from unlabel.params.settings import Settings, build
from unlabel.probe import Probe
from unlabel.probe._trained import EncoderProbe, Trained


def built(recipes: Mapping[str, Settings], section: str = "probe") -> dict[str, Probe]:
    """The probes of recipes, by name; `section` is where the settings have them.

    Raises `UserError` for a recipe of something else.
    """
    probes: dict[str, Probe] = {}
    for name, recipe in recipes.items():
        where = f"{section}.{name}"
        probes[name] = build(recipe, where)
        if not isinstance(probes[name], Probe):
            raise UserError(f"{where}._target_ is {recipe['_target_']}, which is no probe")
    return probes


def measured(
    probes: Mapping[str, Probe],
    features: Features,
    seed: int,
    trained: Trained | None = None,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Each probe's name and numbers; none where it lacks labels or images, and why.

    A probe that runs the encoder gets what was `trained`.

    Raises `UserError` for a number that its probe does not declare.
    """
    for name, probe in probes.items():
        began = time.monotonic()
        why = _missing(probe, features)
        numbers = {} if why else _measure(probe, features, seed, trained)
        declared = list(probe.metrics())
        if unknown := [each for each in numbers if find(each, declared) is None]:
            raise UserError(
                f"the probe {name} measures {unknown[0]!r} without saying what it is; "
                f"declare it in {type(probe).__module__}.{type(probe).__name__}.metrics"
            )
        yield name, numbers
        said = why or f"{time.monotonic() - began:.1f} s"
        print(f"probe {name}: {said}", file=sys.stderr, flush=True)


def _measure(
    probe: Probe, features: Features, seed: int, trained: Trained | None
) -> dict[str, float]:
    if trained and isinstance(probe, EncoderProbe):
        return probe.measure_encoder(trained, seed)
    return probe.measure(features, seed)


def _missing(probe: Probe, features: Features) -> str:
    """Why a probe cannot measure these features; empty if it can."""
    if probe.labels and not features.labelled:
        return "no image has a label"
    if probe.labels and len(features.classes) < probe.classes:
        return f"it needs {probe.classes} classes, and there are {len(features.classes)}"
    images = len(features.validation.h)
    if images < probe.least:
        return f"it needs {probe.least} validation images, and there is {images}"
    return ""
