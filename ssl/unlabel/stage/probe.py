"""Measure features with probes."""

from pathlib import Path

from unlabel import files
from unlabel.features.parquet import read
from unlabel.hardware import Hardware
from unlabel.params.settings import build, load
from unlabel.probe._run import built, measured


def run(params: Path, features: Path, views: Path, out: Path) -> None:
    """Measure features with each probe of the settings, and write its numbers to `out`/PROBE.json.

    If the dataset has no labels, the probes that need them measure nothing.

    Args:
        params: the run's settings, a YAML file
        features: the features of a dataset, as `unlabel features` wrote them
        views: the features of pairs of views, as `unlabel features` wrote them
        out: the folder to write into

    Raises:
        UserError: if the settings are wrong, or the features cannot be measured
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware").resolve()
    hardware.configure()
    probes = built(settings["probe"])
    everything = read(features, views).to(hardware.device)
    for name, measures in measured(probes, everything, settings["seed"]):
        files.write_json(out / f"{name}.json", measures)
