"""Drawn images with known factors, to ask what a representation keeps of each."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unlabel.data.images import Images
from unlabel.data.masks import Masks
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError, did_you_mean
from unlabel.ranges import Natural, NonNegative, Range
from unlabel.seeds import generator

SIDE = 32  # pixels
BLOCK = 1000  # images drawn at a time; always as many, so that fewer images are the first of more
FIRST = 1 << 40  # id of the first test image, above any of train
FACTORS = {
    "hue": ("red", "yellow", "green", "cyan", "blue", "magenta"),
    "orientation": ("up", "left", "down", "right"),
    "position": ("top left", "top right", "bottom left", "bottom right"),
    "size": ("small", "middling", "large"),
    "texture": ("plain", "striped", "chequered", "dotted"),
}
RADIUS = (0.42, 0.56, 0.75)  # of each size; half the image's side is 1
SHADE = 0.45  # how much darker a shape is at its middle than at its top
DARKEST = 0.25  # the light at its foot
OFFSET = 0.24  # of the shape's centre from the image's, in each direction


@dataclass(frozen=True, kw_only=True)
class Shapes(Dataset):
    """A shape on a cluttered background, (3, 32, 32). The class is its kind, all else is a factor.

    `classes` may name other factors; then each combination of their values is a class. Kind and
    factors are independent and uniform. Each value of a factor is a range, within which
    hue, angle, place and size vary. `seed` also changes the images. Raises `UserError` unless there
    are images to train on and to test on.
    """

    size: Annotated[int, Range(100)] = 20_000  # images to train on; some of them are held out
    test: Annotated[int, Range(100)] = 4_000
    clutter: Natural = 2  # spots behind the shape
    noise: NonNegative = 0.03  # standard deviation of each pixel's noise; white is 1
    classes: Sequence[str] = ("kind",)  # what makes the class: the kind, or factors

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "test"):
            if getattr(self, name) < 100:
                raise UserError(
                    f"dataset.{name} is {getattr(self, name)}, but must be 100 or more, so that "
                    "each class has some images"
                )
        for name in ("clutter", "noise"):
            if getattr(self, name) < 0:
                raise UserError(
                    f"dataset.{name} is {getattr(self, name)}, but must not be negative"
                )
        for name in self.classes:
            if name not in VALUES:
                raise UserError(f"dataset.classes names {name!r}; {did_you_mean(name, VALUES)}")

    def image_size(self) -> tuple[int, int]:
        return (SIDE, SIDE)

    def load(self, raw: Path) -> Raw:
        """Draw all images; `raw` is not used."""
        train = self._drawn("train", self.size, 0)
        test = self._drawn("test", self.test, FIRST)
        names = tuple(map(" ".join, product(*(VALUES[name] for name in self.classes))))
        pixels = sha256(train.pixels.numpy().tobytes() + test.pixels.numpy().tobytes())
        checksum = {"shapes": pixels.hexdigest()}
        return Raw(train, test, names, "shapes, drawn by unlabel", checksum, FACTORS)

    def masks(self, raw: Path) -> Masks:
        """The kind of shape at each pixel that it covers by half or more; else the background."""
        parts, ids = [], []
        for split, size, first in (("train", self.size, 0), ("test", self.test, FIRST)):
            masks = [
                torch.where(covered, kind[:, None, None] + 1, 0).to(torch.uint8)
                for kind, _, _, covered in self._pictures(split, size)
            ]
            parts.append(torch.cat(masks)[:size])
            ids.append(torch.arange(first, first + size))
        return Masks(torch.cat(ids), torch.cat(parts), ("background", *KINDS))

    def _pictures(self, split: str, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        for number in range(math.ceil(size / BLOCK)):
            draw = generator("shapes", self.seed, split, number)
            yield picture(draw, BLOCK, self.clutter, self.noise)

    def _drawn(self, split: str, size: int, first: int) -> Images:
        blocks = [picture[:3] for picture in self._pictures(split, size)]
        kind, factor, image = (torch.cat(part)[:size] for part in zip(*blocks, strict=True))
        label, known = torch.zeros_like(kind), dict(zip(FACTORS, factor.T, strict=True))
        known["kind"] = kind
        for name in self.classes:
            label = label * len(VALUES[name]) + known[name]
        return Images(torch.arange(first, first + size), image, label, factor)


def picture(
    draw: Generator, n: int, clutter: int, noise: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw n images: kinds (n,), factors (n, 5), and images, uint8 (n, 3, 32, 32).

    Also which pixels the shape covers by half or more, bool (n, 32, 32).
    """

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return torch.rand(n, *(size or (1,)), generator=draw) * (high - low) + low

    kind = torch.randint(len(KINDS), (n,), generator=draw)
    columns = [torch.randint(len(names), (n,), generator=draw) for names in FACTORS.values()]
    hue, orientation, position, size, texture = (column[:, None] for column in columns)

    axis = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    grid = torch.stack([axis.expand(SIDE, SIDE), -axis[:, None].expand(SIDE, SIDE)])  # right, up
    place = torch.cat([position % 2 * 2 - 1, 1 - position // 2 * 2], 1) * OFFSET
    place = place + uniform(-0.12, 0.12, 2)
    radius = torch.tensor(RADIUS)[size] * uniform(0.88, 1.12)
    angle = (orientation * 90 + uniform(-15, 15)) * math.pi / 180
    u, v = turned(grid - place[:, :, None, None], angle)
    u, v = u / radius[:, :, None], v / radius[:, :, None]
    outside = torch.empty(n, SIDE, SIDE)
    for number, distance in enumerate(KINDS.values()):
        rows = kind == number
        outside[rows] = distance(u[rows], v[rows])
    cover = (0.5 - outside * radius[:, :, None] * SIDE / 2).clamp(0, 1)  # about a pixel's edge

    colour = saturated((hue + uniform(-0.33, 0.33)) / len(FACTORS["hue"]))
    colour = 1 - uniform(0.4, 0.8) * (1 - colour)
    light = pattern(grid, texture, uniform(0, math.pi), uniform(3.5, 5), uniform(0, 1, 2))
    light = uniform(0.8, 1)[:, :, None] * (1 - uniform(0.4, 0.7)[:, :, None] * light)
    light = light * (1 - SHADE + SHADE * v).clamp(DARKEST, 1)  # so that rotation shows
    x = ground(n, grid, clutter, uniform)
    x = x + cover[:, None] * (colour[:, :, None, None] * light[:, None] - x)
    x = x + noise * torch.randn(x.shape, generator=draw)
    image = x.clamp(0, 1).mul(255).round().to(torch.uint8)
    return kind, torch.stack(columns, 1), image, cover >= 0.5


def ground(n: int, grid: Tensor, clutter: int, uniform: Callable[..., Tensor]) -> Tensor:
    """The background (n, 3, 32, 32): dull colours that change slowly, and spots of others."""
    slow = uniform(-0.1, 0.1, 3, 3, 3) + uniform(0.1, 0.3, 1, 1, 1)
    x = F.interpolate(slow, (SIDE, SIDE), mode="bilinear", align_corners=True)
    for _ in range(clutter):
        u, v = turned(grid - uniform(-1, 1, 2, 1, 1), uniform(0, math.pi))
        long, wide = (uniform(low, high)[:, :, None] for low, high in ((0.1, 0.5), (0.06, 0.2)))
        cover = (0.5 - (torch.hypot(u / long, v / wide) - 1) * wide * SIDE / 2).clamp(0, 1)
        spot = uniform(-0.1, 0.1, 3, 1, 1) + uniform(0.1, 0.4, 1, 1, 1)
        x = x + cover[:, None] * (spot - x)
    return x


def pattern(grid: Tensor, kind: Tensor, angle: Tensor, period: Tensor, phase: Tensor) -> Tensor:
    """The darkness of the texture at each pixel, (n, 32, 32) in [0, 1]; `period` is in pixels."""
    u, v = turned(grid * SIDE / 2, angle)
    a, b = (
        (2 * math.pi * (x / period[:, :, None] + phase[:, at, None, None])).sin()
        for at, x in enumerate((u, v))
    )
    kind = kind[:, :, None]
    plain = torch.full_like(a, -1)
    wave = torch.where(kind == 1, a, torch.where(kind == 2, a * b * 2, a + b - 0.5))
    return (0.5 + 1.5 * torch.where(kind == 0, plain, wave)).clamp(0, 1)


def turned(x: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates ((n,) 2, 32, 32) in axes rotated counter-clockwise by `angle` (n, 1)."""
    right, up = x.unbind(-3)
    cos, sin = angle.cos()[:, :, None], angle.sin()[:, :, None]
    return cos * right + sin * up, cos * up - sin * right


def saturated(hue: Tensor) -> Tensor:
    """Hues (n, 1), in turns -> pure colours (n, 3)."""
    apart = (hue * 6 - torch.tensor([0.0, 2.0, 4.0])).remainder(6)
    return (apart.minimum(6 - apart).neg() + 2).clamp(0, 1)


# About how far a point lies outside of an upright shape of radius 1. All shapes are symmetric from
# left to right, and look different after any rotation.


def triangle(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(-v - 0.6, 0.882 * u.abs() + 0.471 * v - 0.424)


def half_disc(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(u, v + 0.45) - 0.95, -v - 0.45)


def crescent(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(u, v) - 0.9, 0.7 - torch.hypot(u, v + 0.4))


def cup(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(
        torch.maximum(u.abs(), v.abs()) - 0.75, -torch.maximum(u.abs() - 0.35, -v - 0.3)
    )


def tee(u: Tensor, v: Tensor) -> Tensor:
    bar = torch.maximum(u.abs() - 0.8, (v - 0.5).abs() - 0.28)
    return torch.minimum(bar, torch.maximum(u.abs() - 0.28, (v + 0.1).abs() - 0.75))


def arrow(u: Tensor, v: Tensor) -> Tensor:
    head = torch.maximum(0.1 - v, 0.75 * u.abs() + 0.66 * v - 0.63)
    return torch.minimum(head, torch.maximum(u.abs() - 0.25, (v + 0.35).abs() - 0.55))


def heart(u: Tensor, v: Tensor) -> Tensor:
    point = torch.maximum(v - 0.3, 0.76 * u.abs() - 0.65 * v - 0.55)
    return torch.minimum(point, torch.hypot(u.abs() - 0.42, v - 0.3) - 0.45)


def drop(u: Tensor, v: Tensor) -> Tensor:
    point = torch.maximum(-v - 0.1, 0.87 * u.abs() + 0.49 * v - 0.47)
    return torch.minimum(point, torch.hypot(u, v + 0.3) - 0.6)


KINDS = {
    "triangle": triangle,
    "half disc": half_disc,
    "crescent": crescent,
    "cup": cup,
    "tee": tee,
    "arrow": arrow,
    "heart": heart,
    "drop": drop,
}
VALUES = {"kind": tuple(KINDS), **FACTORS}  # of all that may make the class
