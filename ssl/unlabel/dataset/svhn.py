"""SVHN: digits cropped from house numbers in street views."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from unlabel.data import matlab
from unlabel.data.download import File, folders, obtain
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import damage

SITE = "http://ufldl.stanford.edu/housenumbers/"
LARGEST = 1 << 31  # bytes of the images in a file; the largest has 1.6 billion


def _file(name: str, size: int, checksum: str) -> File:
    return File(name, size, checksum, (f"{SITE}{name}",))


# sha256 as in TensorFlow Datasets
FILES = {
    "train": _file(
        "train_32x32.mat",
        182_040_794,
        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    ),
    "extra": _file(
        "extra_32x32.mat",
        1_329_278_602,
        "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
    ),
    "test": _file(
        "test_32x32.mat",
        64_275_384,
        "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    ),
}
FIRST = {"train": 0, "test": 100_000, "extra": 200_000}  # ids


@dataclass(frozen=True, kw_only=True)
class SVHN(Dataset):
    """73,257 digits to train on and 26,032 to test on, (3, 32, 32), ten classes.

    With `extra`, 531,131 more to train on, which are easier. Netzer et al., Reading Digits in
    Natural Images with Unsupervised Feature Learning, 2011.
    """

    root: str | None = None  # a folder with the files: torchvision's `root`
    extra: bool = False

    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def image_size(self) -> tuple[int, int]:
        return (32, 32)

    def load(self, raw: Path) -> Raw:
        """Load from a copy in `raw` or `root`, or else download into `raw`.

        Raises `UserError` that names what is damaged, or all that was tried to get it.
        """
        places = folders(raw, self.root, "svhn")
        names = ("train", "extra", "test") if self.extra else ("train", "test")
        paths = {name: obtain("SVHN", FILES[name], raw, places) for name in names}
        parts = {name: _images(path, FIRST[name]) for name, path in paths.items()}
        train = parts["train"]
        if self.extra:
            both = (train, parts["extra"])
            columns = ([each.id, each.pixels, each.label] for each in both)
            train = Images.of(*map(torch.cat, zip(*columns, strict=True)))
        checksums = {FILES[name].name: FILES[name].checksum for name in names}
        return Raw(train, parts["test"], self.classes, "SVHN (Netzer et al., 2011)", checksums)


def _images(path: Path, first: int) -> Images:
    with damage(f"{path} is not a file of SVHN", "delete it, start again"):
        arrays = matlab.read(path, LARGEST)
        pixels, label = arrays["X"], arrays["y"]
        *shape, size = pixels.shape
        if (shape, pixels.dtype) != ([32, 32, 3], np.uint8) or not size:
            raise ValueError(f"X is {pixels.dtype} of {pixels.shape}")
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)))
        # the digit 0 has the label 10
        digit = torch.from_numpy(label.reshape(size).astype(np.int64)) % 10
    return Images.of(torch.arange(first, first + size), image, digit)
