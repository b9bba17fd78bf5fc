"""Imagenette: ten classes of ImageNet that are easy to tell apart."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from unlabel.data.download import File
from unlabel.data.image_archive import decoded, inside, located, mixed
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError
from unlabel.ranges import Count

SITE = "https://s3.amazonaws.com/fast-ai-imageclas/"
# The archives by the length of an image's shorter side; md5 as in torchvision.
ARCHIVES = {
    160: File(
        "imagenette2-160.tgz",
        100_000_000,
        "e793b78cc4c9e9a4ccc0c1155377a412",
        (f"{SITE}imagenette2-160.tgz",),
    ),
    320: File(
        "imagenette2-320.tgz",
        350_000_000,
        "3df6f0d01a2c9592104656642f5e78a3",
        (f"{SITE}imagenette2-320.tgz",),
    ),
}
SIZES = {"train": 9_469, "val": 3_925}  # images
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


@dataclass(frozen=True, kw_only=True)
class Imagenette(Dataset):
    """9,469 photographs to train on and 3,925 to test on, (3, size, size), ten classes.

    The middle of each image, resized: up to 160 pixels from the archive of that size, above from
    the archive of 320 pixels. Howard, 2019. Raises `UserError` for a larger size.
    """

    root: str | None = None  # a folder with the archive or its content, or torchvision's `root`
    size: Count = 160  # pixels

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.size <= max(ARCHIVES):
            raise UserError(
                f"dataset.size is {self.size}, but must be from 1 to {max(ARCHIVES)} pixels"
            )

    def image_size(self) -> tuple[int, int]:
        return (self.size, self.size)

    def load(self, raw: Path) -> Raw:
        """Load from a copy in `raw` or `root`, or else download into `raw`.

        Raises `UserError` that names what is damaged, or all that was tried to get it.
        """
        file = ARCHIVES[min(side for side in ARCHIVES if side >= self.size)]
        folder = file.name.removesuffix(".tgz")
        path = located("Imagenette", file, folder, raw, self.root, "imagenette")
        form = re.compile(f"({'|'.join(SIZES)})/({'|'.join(CLASSES)})/[^/.][^/]*\\.JPEG")
        found = [match for name in inside(path, folder)[0] if (match := form.fullmatch(name))]
        for split, size in SIZES.items():
            if (count := sum(match[1] == split for match in found)) != size:
                raise UserError(
                    f"{path} has {count:,} images in {split}, but {size:,} were published; "
                    "get a whole copy"
                )
        shape, order = (3, self.size, self.size), mixed(*SIZES.values())
        image, checksum = decoded(path, folder, [match[0] for match in found], shape, order)
        label = torch.tensor([[*CLASSES].index(match[2]) for match in found])
        every, cut = Images.of(order, image, label[order]), SIZES["train"]
        train, test = every.take(slice(cut)), every.take(slice(cut, None))
        source = f"Imagenette, {folder} (Howard, 2019)"
        return Raw(train, test, tuple(CLASSES.values()), source, {folder: checksum})
