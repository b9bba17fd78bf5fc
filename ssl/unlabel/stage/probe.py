"""Measure features."""

import sys
import time
from pathlib import Path

import torch

from unlabel import files
from unlabel.errors import UserError
from unlabel.features import read
from unlabel.hardware import Hardware
from unlabel.probe import Probe
from unlabel.settings import build, load


def run(params: Path, features: Path, views: Path, out: Path) -> None:
    """Measure `features` with each probe of `params`, and write its numbers to `out`/PROBE.json.

    Of a dataset without labels, probes that need them say nothing. Raises `UserError` for wrong
    settings, and for features that cannot be measured.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    # A GPU's short numbers are too coarse for neighbours, and for the steps of L-BFGS.
    torch.backends.cuda.matmul.allow_tf32 = False
    probes: dict[str, Probe] = {}
    for name, recipe in settings["probe"].items():
        probes[name] = build(recipe, f"probe.{name}")
        if not isinstance(probes[name], Probe):
            raise UserError(f"probe.{name}._target_ is {recipe['_target_']}, which is no probe")
    measured = read(features, views).to(hardware.device)
    for name, probe in probes.items():
        began = time.monotonic()
        usable = measured.labelled or not probe.labels
        files.write_json(
            out / f"{name}.json", probe.measure(measured, settings["seed"]) if usable else {}
        )
        said = f"{time.monotonic() - began:.1f} s" if usable else "no image has a label"
        print(f"probe {name}: {said}", file=sys.stderr, flush=True)
