"""Fine-tune an encoder on fractions of the labels."""

import sys
from pathlib import Path

from unlabel import encoder as encoders
from unlabel import files
from unlabel.data.images import UNLABELLED
from unlabel.data.splits import read_splits
from unlabel.hardware import Hardware
from unlabel.params.settings import build, load
from unlabel.probe.finetune import Finetune


def run(params: Path, encoder: Path, train: Path, validation: Path, test: Path, out: Path) -> None:
    """Train the whole encoder on fractions of the labels, and write the accuracies.

    If a split has no labels, there is nothing to measure.

    Args:
        params: the run's settings, a YAML file
        encoder: the run's encoder.safetensors
        train: the prepared training split, an Arrow file
        validation: the prepared validation split
        test: the prepared test split
        out: the JSON file to write

    Raises:
        UserError: if the settings are wrong, or the images do not fit the encoder
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware").resolve()
    hardware.configure()
    finetune: Finetune = build(settings["finetune"], "finetune")
    model = encoders.load(encoder)
    splits, data = read_splits((train, validation, test), model.data.shape)
    measures = {}
    if all((split.label != UNLABELLED).any() for split in splits):
        measures = finetune.measure(model, data, splits, hardware, settings["seed"])
    else:
        print("finetune: a split has no labels, so there is nothing to measure", file=sys.stderr)
    files.write_json(out, measures)
