"""What an encoder makes of images."""

from collections.abc import Iterator
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
from unlabel.features import parquet
from unlabel.features.parquet import Split, Views
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.nn.folding import folded
from unlabel.params.settings import Settings, build, first_difference
from unlabel.progress import Progress
from unlabel.seeds import derive


@dataclass(frozen=True)
class Extraction:
    """How to run an encoder over a dataset."""

    augment: Augment  # the two views that alignment compares; the same for all methods
    transforms: Augment  # each of these is tried alone
    batch: int = 1000
    images: int | None = None  # of the training split, for probes; which ones no seed changes
    pairs: int = 2000  # images of the validation split that two views are made of
    alone: int = 500  # images of the validation split that each transform is tried on


def restored(settings: Settings, encoder: Path, path: Path) -> Method:
    """The trained method for evaluation: its encoder, and from `path` what else it has learned.

    Raises `UserError` if a file is missing or damaged, or is not of the method of `settings`.
    """
    backbone = encoders.load(encoder)
    method: Method = build(settings, "method", encoder=backbone, data=backbone.data)
    rest, about = weights.read(path)
    if difference := first_difference(about.get("method"), dict(settings), "method"):
        raise UserError(f"{path} is of another method: {difference}; pass the same run's files")
    learned = {f"encoder.{name}": tensor for name, tensor in backbone.state_dict().items()}
    weights.restore(method, learned | rest, path)
    method.encoder = folded(backbone)
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
        yield views(parquet.ALL, part.id, extraction.augment(x), extraction.augment(x))
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


def in_shape(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
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
