"""Measure features."""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from unlabel import files
from unlabel.errors import UserError
from unlabel.features import Features, read
from unlabel.hardware import Hardware
from unlabel.probe import Probe
from unlabel.settings import Settings, build, load


def run(params: Path, features: Path, views: Path, out: Path) -> None:
    """Measure `features` with each probe of `params`, and write its numbers to `out`/PROBE.json.

    Of a dataset without labels, probes that need them say nothing. Raises `UserError` for wrong
    settings, and for features that cannot be measured.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    # A GPU's short numbers are too coarse for neighbours, and for the steps of L-BFGS.
    torch.backends.cuda.matmul.allow_tf32 = False
    probes = built(settings["probe"])
    everything = read(features, views).to(hardware.device)
    for name, measures in measured(probes, everything, settings["seed"]):
        files.write_json(out / f"{name}.json", measures)


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
