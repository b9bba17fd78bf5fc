"""Run an encoder over a dataset."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unlabel import checkpoint, encoder, features, images, resume
from unlabel.augment import Augment
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.features import SPLITS, Split
from unlabel.hardware import Hardware
from unlabel.images import Data, Images
from unlabel.method import Method
from unlabel.progress import Progress
from unlabel.seeds import derive
from unlabel.settings import Settings, build, load


@dataclass(frozen=True)
class Extraction:
    """How to run an encoder over a dataset."""

    augment: Augment  # the two views that alignment compares; the same for all methods
    batch: int = 1000
    pairs: int = 2000  # images of the validation split that two views are made of


def run(
    params: Path, encoder: Path, method: Path, train: Path, validation: Path, test: Path,
    out: Path, views: Path,
) -> None:  # fmt: skip
    """Write the features of all images of three splits to `out`, and of pairs of views to `views`.

    `encoder` and `method` are a run's encoder.safetensors and method.safetensors. Raises
    `UserError` if these are of different runs, or the images do not fit the encoder.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    how = {"_target_": f"{__name__}.Extraction"} | settings["features"]
    extraction: Extraction = build(how, "features")
    model = _method(settings["method"], encoder, method)
    hardware.move(model)
    splits = {}
    for name, path in zip(SPLITS, (train, validation, test), strict=True):
        splits[name], data = images.read(path)
        _check(path, data, splits[name], model.encoder.data)
    progress = Progress(out.stem, sum(len(split.id) for split in splits.values()))
    parts = (
        (name, part)
        for name, split in splits.items()
        for part in extract(model, split, extraction.batch, hardware, progress)
    )
    features.write(out, parts, data.classes)
    progress.close()
    pairs = splits["validation"].take(
        torch.arange(min(extraction.pairs, len(splits["validation"].id)))
    )
    features.write_views(views, compare(model.encoder, pairs, extraction, hardware))


def extract(
    method: Method, images: Images, batch: int, hardware: Hardware, progress: Progress
) -> Iterator[Split]:
    """The features of `images`, a batch at a time."""
    method.eval()
    for part in batches(images, batch):
        with torch.inference_mode(), hardware.autocast():
            h = method.encoder(hardware.pixels(part.image))
            z = method.embed(h)
        yield Split(part.id, part.label, h, z)
        progress.advance(len(part.id))


def compare(
    encoder: Encoder, images: Images, extraction: Extraction, hardware: Hardware
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Ids, and the features of two random views of each image, which no run's seed changes."""
    encoder.eval()
    for number, part in enumerate(batches(images, extraction.batch)):
        torch.manual_seed(derive("views", number))
        with torch.inference_mode():
            x = hardware.pixels(part.image)
            pair = [extraction.augment(x), extraction.augment(x)]
            with hardware.autocast():
                yield part.id, encoder(pair[0]), encoder(pair[1])


def batches(images: Images, size: int) -> Iterator[Images]:
    """All images in order, `size` at a time."""
    for start in range(0, len(images.id), size):
        yield Images(*(each[start : start + size] for each in images))


def _method(settings: Settings, encoder_path: Path, path: Path) -> Method:
    """The trained method: its encoder and what else it has learned."""
    backbone = encoder.load(encoder_path)
    method: Method = build(settings, "method", encoder=backbone, data=backbone.data)
    rest, about = checkpoint.read(path)
    if difference := resume.first_difference(about.get("method"), dict(settings), "method"):
        raise UserError(f"{path} is of another method: {difference}; pass the same run's files")
    learned = {f"encoder.{name}": tensor for name, tensor in backbone.state_dict().items()}
    resume.restore(method, learned | rest, path)
    return method


def _check(path: Path, data: Data, split: Images, known: Data) -> None:
    if not len(split.id):
        raise UserError(f"{path} has no images; prepare the dataset so that no split is empty")
    if data.shape != known.shape:
        raise UserError(
            f"the images of {path} are {data.shape} (channels, height, width), but the encoder "
            f"was trained on {known.shape}; prepare the dataset with the encoder's shape"
        )
