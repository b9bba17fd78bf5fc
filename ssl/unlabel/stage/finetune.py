"""Fine-tune an encoder."""

from pathlib import Path

from unlabel import encoder as encoders
from unlabel import files, images
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.images import UNLABELLED
from unlabel.probe.finetune import Finetune
from unlabel.settings import build, load


def run(
    params: Path, encoder: Path, train: Path, validation: Path, test: Path, out: Path
) -> None:
    """Fine-tune `encoder` on fractions of the labels, and write the accuracies to `out`.

    Of a dataset without labels there is nothing to write. Raises `UserError` for wrong settings,
    and if the images do not fit the encoder.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    finetune: Finetune = build(settings["finetune"], "finetune")
    model = encoders.load(encoder)
    splits, data = [], model.data
    for path in (train, validation, test):
        split, data = images.read(path)
        if data.shape != model.data.shape:
            raise UserError(
                f"{path} has images of the shape {data.shape}, but {encoder} was trained on "
                f"{model.data.shape}; pass the dataset that it was trained on"
            )
        splits.append(split)
    labelled = all((split.label != UNLABELLED).any() for split in splits)
    measures = finetune.measure(model, data, splits, hardware, settings["seed"]) if labelled else {}
    files.write_json(out, measures)
