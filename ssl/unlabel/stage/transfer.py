"""Measure an encoder on another dataset than it was trained on."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel import encoder as encoders
from unlabel import files
from unlabel.colour import separate
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.features import Features, Split
from unlabel.folding import folded
from unlabel.hardware import Hardware
from unlabel.images import UNLABELLED, Images
from unlabel.loading import batches
from unlabel.progress import Progress
from unlabel.settings import build, load
from unlabel.stage.features import read_splits, some
from unlabel.stage.probe import built, measured

BATCH = 1000


def run(params: Path, encoder: Path, train: Path, validation: Path, test: Path, out: Path) -> None:
    """Measure `encoder` on another dataset's three splits, and write the numbers to `out`.

    Its images are brought into the encoder's shape. Each number has the name that the probe gives
    it, after the dataset's: `digits_knn`, `validation_digits_knn`. Raises `UserError` for wrong
    settings, and for images that the encoder cannot see.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    probes = built(settings["probe"])
    model = folded(encoders.load(encoder))
    hardware.move(model)
    splits, data = read_splits((train, validation, test))
    labels = int((splits[0].label != UNLABELLED).sum())
    splits[0] = some(splits[0], settings["transfer"]["images"])
    progress = Progress(f"transfer to {data.name}", sum(len(split.id) for split in splits))
    parts = [extract(model, split, hardware, progress) for split in splits]
    progress.close()
    features = Features(parts[0], parts[1], parts[2], {}, data.classes, data.factors, labels)
    torch.backends.cuda.matmul.allow_tf32 = False  # as the stage `probe` does
    measures: dict[str, float] = {}
    for _, numbers in measured(probes, features, settings["seed"]):
        measures |= {named(metric, data.name): value for metric, value in numbers.items()}
    files.write_json(out, measures)


@torch.no_grad()
def extract(encoder: Encoder, images: Images, hardware: Hardware, progress: Progress) -> Split:
    """The features of all `images`, on the device."""
    parts = []
    for part in batches(images, BATCH, hardware.workers):
        x = fitted(hardware.pixels(part.image), encoder.data.shape)
        with hardware.autocast():
            parts.append(encoder(x).float())
        progress.advance(len(part.id))
    return Split(images.id, images.label, images.factor, torch.cat(parts)).to(hardware.device)


def fitted(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images in [0, 1] (B, C, H, W) in another `shape`: luma for grey, three times grey for colour.

    Raises `UserError` where neither has to do with the other.
    """
    channels, height, width = shape
    if (x.shape[1], channels) == (3, 1):
        x = separate(x)[0]
    elif (x.shape[1], channels) == (1, 3):
        x = x.expand(-1, 3, -1, -1)
    elif x.shape[1] != channels:
        raise UserError(
            f"images of {x.shape[1]} channels cannot be shown to an encoder of {channels}; "
            "choose a dataset that is grey or in colour"
        )
    if x.shape[2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", antialias=True).clamp(0, 1)


def named(metric: str, dataset: str) -> str:
    """The name of a probe's metric on another dataset."""
    what = metric.removeprefix("validation_")
    return f"{metric.removesuffix(what)}{dataset}_{what}"
