"""Run an encoder over images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel import encoder as encoders
from unlabel import weights
from unlabel.augment import Augment
from unlabel.augment.colour import separate
from unlabel.data.images import Images
from unlabel.data.loader import batches
from unlabel.errors import UserError
from unlabel.features.split import ALL, Split, Views
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.nn.folding import fold_batch_norm
from unlabel.params.settings import Settings, build, first_difference
from unlabel.progress import Progress
from unlabel.ranges import Count
from unlabel.seeds import derive


@dataclass(frozen=True)
class Extraction:
    """How to run an encoder over a dataset."""

    augment: Augment  # makes the two views that alignment compares; the same for all methods
    transforms: Augment  # each of these is tried alone
    batch: Count = 1000
    images: Count | None = None  # how many training images probes get; the same for every seed
    projected: Count = 131_072  # of how many of these z is kept, too
    pairs: Count = 2000  # how many validation images get two views
    alone: Count = 500  # how many validation images each transform is tried on


@dataclass(frozen=True)
class Transfer:
    """How to measure an encoder on another dataset."""

    probes: Sequence[str]
    images: Count | None = None  # how many of its training images probes get; null is all


def load_method(settings: Settings, encoder: Path, path: Path) -> Method:
    """The trained method in evaluation mode: its encoder, and from `path` what else it learned.

    Raises `UserError` if a file is missing or damaged, or belongs to another method.
    """
    backbone = encoders.load(encoder)
    rest, about = weights.read(path)
    if difference := first_difference(about.get("method"), dict(settings), "method"):
        raise UserError(
            f"{path} belongs to another method: {difference}; pass the files of one run"
        )
    fitted = about.get("fitted", settings)  # to fewer images than its recipe is for
    method: Method = build(fitted, "method", encoder=backbone, data=backbone.data)
    learned = {f"encoder.{name}": tensor for name, tensor in backbone.state_dict().items()}
    weights.restore(method, learned | rest, path)
    method.encoder = fold_batch_norm(backbone)
    return method.eval()


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
def extract_views(
    method: Method, images: Images, extraction: Extraction, hardware: Hardware
) -> Iterator[tuple[str, Views]]:
    """The features of pairs of views of the first images, the same for every seed.

    Under "all", both views are random. Under a transform's name, they are the image as it is and
    transformed.
    """

    def views(name: str, id: Tensor, first: Tensor, second: Tensor) -> tuple[str, Views]:
        (h, z), (h_, z_) = (_embed(method, x, hardware) for x in (first, second))
        return name, Views(id, h, h_, z, z_)

    pairs = images.take(slice(extraction.pairs))
    for number, part in enumerate(batches(pairs, extraction.batch, hardware.workers)):
        torch.manual_seed(derive("views", number))
        x = hardware.pixels(part.image)
        yield views(ALL, part.id, extraction.augment(x), extraction.augment(x))
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


def to_shape(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Bring images in [0, 1] (B, C, H, W) into another `shape`.

    Colour becomes grey as luma, and grey becomes colour as three equal channels. Raises `UserError`
    for any other change of channels.
    """
    channels, height, width = shape
    if (x.shape[1], channels) == (3, 1):
        x = separate(x)[0]
    elif (x.shape[1], channels) == (1, 3):
        x = x.expand(-1, 3, -1, -1)
    elif x.shape[1] != channels:
        raise UserError(
            f"an encoder of images with {channels} channels cannot see images with {x.shape[1]}; "
            "choose a dataset that is grey or in colour"
        )
    if x.shape[2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
