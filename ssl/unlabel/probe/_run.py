"""Builds and runs the probes of a run's settings."""

import sys
import time
from collections.abc import Iterator, Mapping

from unlabel.errors import UserError
from unlabel.features.parquet import Features
from unlabel.metric import find
from unlabel.params.settings import Settings, build
from unlabel.probe import Probe


def built(recipes: Mapping[str, Settings]) -> dict[str, Probe]:
    """The probes of recipes, by name. Raises `UserError` for a recipe of something else."""
    probes: dict[str, Probe] = {}
    for name, recipe in recipes.items():
        probes[name] = build(recipe, f"probe.{name}")
        if not isinstance(probes[name], Probe):
            raise UserError(f"probe.{name}._target_ is {recipe['_target_']}, which is no probe")
    return probes


def measured(
    probes: Mapping[str, Probe], features: Features, seed: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Each probe's name and numbers; none where it needs labels and there are none.

    Raises `UserError` for a number that its probe does not declare.
    """
    for name, probe in probes.items():
        began = time.monotonic()
        usable = features.labelled or not probe.labels
        numbers = probe.measure(features, seed) if usable else {}
        declared = list(probe.metrics())
        if unknown := [each for each in numbers if find(each, declared) is None]:
            raise UserError(
                f"the probe {name} measures {unknown[0]!r} without saying what it is; "
                f"declare it in {type(probe).__module__}.{type(probe).__name__}.metrics"
            )
        yield name, numbers
        said = f"{time.monotonic() - began:.1f} s" if usable else "no image has a label"
        print(f"probe {name}: {said}", file=sys.stderr, flush=True)
