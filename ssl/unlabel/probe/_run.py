"""The probes of a run's settings, built and run."""

import sys
import time
from collections.abc import Iterator, Mapping

from unlabel.errors import UserError
from unlabel.features.parquet import Features
from unlabel.params.settings import Settings, build
from unlabel.probe import Probe


def built(recipes: Mapping[str, Settings]) -> dict[str, Probe]:
    """The probes of recipes, by name. Raises `UserError` for one that makes no probe."""
    probes: dict[str, Probe] = {}
    for name, recipe in recipes.items():
        probes[name] = build(recipe, f"probe.{name}")
        if not isinstance(probes[name], Probe):
            raise UserError(f"probe.{name}._target_ is {recipe['_target_']}, which is no probe")
    return probes


def measured(
    probes: Mapping[str, Probe], features: Features, seed: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """What each probe says of `features`: nothing where it needs labels and there are none."""
    for name, probe in probes.items():
        began = time.monotonic()
        usable = features.labelled or not probe.labels
        yield name, probe.measure(features, seed) if usable else {}
        said = f"{time.monotonic() - began:.1f} s" if usable else "no image has a label"
        print(f"probe {name}: {said}", file=sys.stderr, flush=True)
