"""Measure an encoder on a dataset it was not trained on."""

from pathlib import Path

import torch

from unlabel import encoder as encoders
from unlabel import files
from unlabel.data.images import UNLABELLED, Images
from unlabel.data.loader import batches
from unlabel.data.splits import read_splits, subset_of_each_class
from unlabel.encoder import Encoder
from unlabel.features.extract import Transfer, to_shape
from unlabel.features.split import Features, Split
from unlabel.hardware import Hardware
from unlabel.nn.folding import fold_batch_norm
from unlabel.params.settings import build, load
from unlabel.probe import named
from unlabel.probe._run import built, measured
from unlabel.progress import Progress

BATCH = 1000


def run(params: Path, encoder: Path, train: Path, validation: Path, test: Path, out: Path) -> None:
    """Measure an encoder on another dataset, whose images are brought into the encoder's shape.

    Each number has the probe's name for it after the dataset's name: `digits_knn`,
    `validation_digits_knn`.

    Args:
        params: the run's settings, a YAML file
        encoder: the run's encoder.safetensors
        train: the prepared training split, an Arrow file
        validation: the prepared validation split
        test: the prepared test split
        out: the JSON file to write

    Raises:
        UserError: if the settings are wrong, or the encoder cannot see the images
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware").resolve()
    hardware.configure()
    transfer: Transfer = build(settings["transfer"], "transfer")
    probes = built(settings["probe"])
    model = fold_batch_norm(encoders.load(encoder))
    hardware.move(model)
    splits, data = read_splits((train, validation, test))
    labels = int((splits[0].label != UNLABELLED).sum())
    splits[0] = subset_of_each_class(splits[0], transfer.images)
    progress = Progress(f"transfer to {data.name}", sum(len(split.id) for split in splits))
    parts = [extract(model, split, hardware, progress) for split in splits]
    progress.close()
    features = Features(parts[0], parts[1], parts[2], {}, data.classes, data.factors, labels)
    measures: dict[str, float] = {}
    for _, numbers in measured(probes, features, settings["seed"]):
        measures |= {named(metric, data.name): value for metric, value in numbers.items()}
    files.write_json(out, measures)


@torch.no_grad()
def extract(encoder: Encoder, images: Images, hardware: Hardware, progress: Progress) -> Split:
    """The features of all `images`, on the device."""
    found, start = torch.empty(0), 0
    for part in batches(images, BATCH, hardware.workers):
        x = to_shape(hardware.pixels(part.image), encoder.data.shape)
        with hardware.autocast():
            h = encoder(x).float()
        if not start:  # joining parts at the end would take the memory of all of them twice
            found = h.new_empty(len(images.id), h.shape[1])
        found[start : start + len(h)] = h
        start += len(h)
        progress.advance(len(h))
    return Split(images.id, images.label, images.factor, found).to(hardware.device)
