"""Features of four classes, made up, and their files."""

from pathlib import Path

import numpy as np
import torch

from unlabel.features import parquet
from unlabel.features.split import Features, Split, Views
from unlabel.probe.factors import Factors
from unlabel.probe.projection import Projection

SIZES = {"train": 400, "validation": 150, "test": 100}


CLASSES = ("boot", "coat", "dress", "shirt")


FACTORS = {"hue": ("red", "green"), "size": ("small", "middling", "large")}


H = torch.randn(20, 6, generator=torch.Generator().manual_seed(5))


VIEWS = {"all": Views(torch.arange(20), H, H), "flip": Views(torch.arange(20), H, -H)}


def projection(images: int) -> Projection:
    return Projection(images, [1e-2, 1e-3, 1e-4, 1e-5, 1e-6], 1e-5, Factors(images=99))


PROJECTION = projection(1000)


def split(size: int, start: int, projector: bool = True) -> Split:
    """Four overlapping clouds in six dimensions; every ninth image is unlabelled.

    The first factor shows in the first dimension, the second nowhere; some values are unknown.
    """
    draw = torch.Generator().manual_seed(start)
    label = torch.arange(size) % 4
    centre = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)) * 0.7
    h = centre[label] + torch.randn(size, 6, generator=draw) + 3
    factor = torch.stack([(h[:, 0] > h[:, 0].median()).long(), torch.arange(size) // 4 % 3], 1)
    factor[::7, 0], factor[::5, 1] = -1, -1
    label = label.where(torch.arange(size) % 9 != 8, -1)
    z = torch.tanh(h[:, :3] - 3) if projector else None
    scaled = h * torch.logspace(-2, 2, 6)
    return Split(torch.arange(start, start + size), label, factor, scaled, z)


def clouds(projector: bool = True) -> Features:
    starts = np.cumsum([0, *SIZES.values()]).tolist()
    parts = [
        split(size, start, projector) for size, start in zip(SIZES.values(), starts, strict=False)
    ]
    return Features(*parts, VIEWS, CLASSES, FACTORS)


def save(
    folder: Path,
    measured: Features,
    classes: tuple[str, ...] = CLASSES,
    projected: torch.Tensor | None = None,
) -> tuple[Path, Path]:
    paths = (folder / "features.parquet", folder / "views.parquet")
    parts = [
        (name, Split(*(None if each is None else each[rows] for each in getattr(measured, name))))
        for name in SIZES
        for rows in torch.arange(len(getattr(measured, name).id)).split(64)
    ]
    parquet.write(paths[0], parts, classes, measured.factors, None, projected)
    parquet.write_views(paths[1], measured.views.items(), list(measured.views))
    return paths
