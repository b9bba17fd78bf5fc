"""Run an encoder over a dataset."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unlabel import checkpoint, features, images, resume
from unlabel import encoder as encoders
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
    params: Path,
    encoder: Path,
    method: Path,
    train: Path,
    validation: Path,
    test: Path,
    out: Path,
    views: Path,
) -> None:
    """Write the features of all images of three splits to `out`, and of pairs of views to `views`.

    `encoder` and `method` are a run's encoder.safetensors and method.safetensors. Raises
    `UserError` if they are of different methods, or the images do not fit the encoder.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    how = {"_target_": f"{__name__}.Extraction"} | settings["features"]
    extraction: Extraction = build(how, "features")
    model = restored(settings["method"], encoder, method)
    hardware.move(model)
    splits, data = read_splits((train, validation, test), model.encoder)
    progress = Progress("features", sum(len(split.id) for split in splits))
    parts = (
        (name, part)
        for name, split in zip(SPLITS, splits, strict=True)
        for part in extract(model, split, extraction.batch, hardware, progress)
    )
    features.write(out, parts, data.classes)
    progress.close()
    pairs = Images(*(each[: extraction.pairs] for each in splits[1]))
    features.write_views(views, compare(model.encoder, pairs, extraction, hardware))


def restored(settings: Settings, encoder: Path, path: Path) -> Method:
    """The trained method: its encoder, and from `path` what else it has learned.

    Raises `UserError` if a file is missing or damaged, or is not of the method of `settings`.
    """
    backbone = encoders.load(encoder)
    method: Method = build(settings, "method", encoder=backbone, data=backbone.data)
    rest, about = checkpoint.read(path)
    if difference := resume.first_difference(about.get("method"), dict(settings), "method"):
        raise UserError(f"{path} is of another method: {difference}; pass the same run's files")
    learned = {f"encoder.{name}": tensor for name, tensor in backbone.state_dict().items()}
    resume.restore(method, learned | rest, path)
    return method.eval()


def read_splits(paths: Sequence[Path], encoder: Encoder) -> tuple[list[Images], Data]:
    """The images of each path, and what is to be known of the last.

    Raises `UserError` if a file is missing, damaged or empty, or its images do not fit the encoder.
    """
    splits = []
    for path in paths:
        split, data = images.read(path)
        if not len(split.id):
            raise UserError(f"{path} has no images; prepare the dataset so that no split is empty")
        if data.shape != encoder.data.shape:
            raise UserError(
                f"the images of {path} are {data.shape} (channels, height, width), but the encoder "
                f"was trained on {encoder.data.shape}; prepare them in the encoder's shape"
            )
        splits.append(split)
    return splits, data


@torch.no_grad()
def extract(
    method: Method, images: Images, batch: int, hardware: Hardware, progress: Progress
) -> Iterator[Split]:
    """The features of `images`, `batch` at a time."""
    for part in _batches(images, batch):
        with hardware.autocast():
            h = method.encoder(hardware.pixels(part.image))
            z = method.embed(h)
        yield Split(part.id, part.label, h, z)
        progress.advance(len(part.id))


@torch.no_grad()
def compare(
    encoder: Encoder, images: Images, extraction: Extraction, hardware: Hardware
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Ids, and the features of two random views of each image, which no run's seed changes."""
    for number, part in enumerate(_batches(images, extraction.batch)):
        torch.manual_seed(derive("views", number))
        x = hardware.pixels(part.image)
        view, view_ = extraction.augment(x), extraction.augment(x)
        with hardware.autocast():
            yield part.id, encoder(view), encoder(view_)


def _batches(images: Images, size: int) -> Iterator[Images]:
    for start in range(0, len(images.id), size):
        yield Images(*(each[start : start + size] for each in images))
