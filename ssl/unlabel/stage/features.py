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
from unlabel.features import SPLITS, Split, Views
from unlabel.folding import folded
from unlabel.hardware import Hardware
from unlabel.images import UNLABELLED, Data, Images
from unlabel.loading import batches
from unlabel.method import Method
from unlabel.progress import Progress
from unlabel.seeds import derive, generator
from unlabel.settings import Settings, build, load


@dataclass(frozen=True)
class Extraction:
    """How to run an encoder over a dataset."""

    augment: Augment  # the two views that alignment compares; the same for all methods
    transforms: Augment  # each of these is tried alone
    batch: int = 1000
    images: int | None = None  # of the training split, for probes; which ones no seed changes
    pairs: int = 2000  # images of the validation split that two views are made of
    alone: int = 500  # images of the validation split that each transform is tried on


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
    """Write the features of the images of three splits to `out`, and of pairs of views to `views`.

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
    labels = int((splits[0].label != UNLABELLED).sum())
    splits[0] = some(splits[0], extraction.images)
    progress = Progress("features", sum(len(split.id) for split in splits))
    parts = (
        (name, part)
        for name, split in zip(SPLITS, splits, strict=True)
        for part in extract(model, split, extraction.batch, hardware, progress)
    )
    features.write(out, parts, data.classes, data.factors, labels)
    progress.close()
    pairs = compare(model, splits[1], extraction, hardware)
    features.write_views(views, pairs, [features.ALL, *extraction.transforms.transforms])


def restored(settings: Settings, encoder: Path, path: Path) -> Method:
    """The trained method for evaluation: its encoder, and from `path` what else it has learned.

    Raises `UserError` if a file is missing or damaged, or is not of the method of `settings`.
    """
    backbone = encoders.load(encoder)
    method: Method = build(settings, "method", encoder=backbone, data=backbone.data)
    rest, about = checkpoint.read(path)
    if difference := resume.first_difference(about.get("method"), dict(settings), "method"):
        raise UserError(f"{path} is of another method: {difference}; pass the same run's files")
    learned = {f"encoder.{name}": tensor for name, tensor in backbone.state_dict().items()}
    resume.restore(method, learned | rest, path)
    method.encoder = folded(backbone)
    return method.eval()


def read_splits(paths: Sequence[Path], encoder: Encoder | None = None) -> tuple[list[Images], Data]:
    """The images of each path, and what is to be known of the last.

    Raises `UserError` if a file is missing, damaged or empty, or its images do not fit an encoder.
    """
    splits = []
    for path in paths:
        split, data = images.read(path)
        if not len(split.id):
            raise UserError(f"{path} has no images; prepare the dataset so that no split is empty")
        if encoder is not None and data.shape != encoder.data.shape:
            raise UserError(
                f"the images of {path} are {data.shape} (channels, height, width), but the encoder "
                f"was trained on {encoder.data.shape}; prepare them in the encoder's shape"
            )
        splits.append(split)
    return splits, data


def some(images: Images, number: int | None) -> Images:
    """So many random images, the same each time; all, where there are no more.

    Those without a label only where those with one are too few.
    """
    if number is None or number >= len(images.id):
        return images
    order = torch.randperm(len(images.id), generator=generator("features"))
    unlabelled = images.label[order] == UNLABELLED
    order = order[unlabelled.int().argsort(stable=True)]
    return images.take(order[:number].sort().values)


@torch.no_grad()
def extract(
    method: Method, images: Images, batch: int, hardware: Hardware, progress: Progress
) -> Iterator[Split]:
    """The features of `images`, `batch` at a time."""
    for part in batches(images, batch, hardware.workers):
        h, z = _embed(method, hardware.pixels(part.image), hardware)
        yield Split(part.id, part.label, part.factor, h, z)
        progress.advance(len(part.id))


@torch.no_grad()
def compare(
    method: Method, images: Images, extraction: Extraction, hardware: Hardware
) -> Iterator[tuple[str, Views]]:
    """The features of pairs of views of the first images, which no run's seed changes.

    Of "all", two random views; of each transform, the image as it is and transformed.
    """

    def views(name: str, id: Tensor, first: Tensor, second: Tensor) -> tuple[str, Views]:
        (h, z), (h_, z_) = (_embed(method, x, hardware) for x in (first, second))
        return name, Views(id, h, h_, z, z_)

    pairs = images.take(slice(extraction.pairs))
    for number, part in enumerate(batches(pairs, extraction.batch, hardware.workers)):
        torch.manual_seed(derive("views", number))
        x = hardware.pixels(part.image)
        yield views(features.ALL, part.id, extraction.augment(x), extraction.augment(x))
    some = images.take(slice(extraction.alone)).decoded()
    for name, transform in extraction.transforms.transforms.items():
        for number, part in enumerate(batches(some, extraction.batch)):
            torch.manual_seed(derive("views", name, number))
            x = hardware.pixels(part.image)
            yield views(name, part.id, x, Augment(**{name: transform})(x))


def _embed(method: Method, x: Tensor, hardware: Hardware) -> tuple[Tensor, Tensor | None]:
    with hardware.autocast():
        h = method.encoder(x)
        return h, method.embed(h)
