"""STL-10: few labelled images, and many without a label."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unlabel.data.archive import Member, published
from unlabel.data.download import File, find, folders, obtain
from unlabel.data.images import UNLABELLED, Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError

SIDE = 96  # pixels
LARGEST = 1 << 32  # bytes of all files in the archive; they have 3.1 billion
BLOCK = 500  # images transposed at a time
FOLDER = "stl10_binary"
ARCHIVE = File(  # sha256 as in TensorFlow Datasets
    "stl10_binary.tar.gz",
    2_640_397_119,
    "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
    (
        "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
    ),
)
# md5 of the files in it, as in torchvision, and the number of images
FILES = {
    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
    "train_y.bin": "5a34089d4802c674881badbb80307741",
    "unlabeled_X.bin": "5242ba1fed5e4be9e1e742405eb56ca4",
    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
}
SIZES = {"train": 5_000, "unlabeled": 100_000, "test": 8_000}


@dataclass(frozen=True, kw_only=True)
class STL10(Dataset):
    """5,000 photographs to train on and 8,000 to test on, (3, 96, 96), ten classes.

    With `unlabelled`, 100,000 more to train on that have no label. Coates, Ng and Lee, An Analysis
    of Single-Layer Networks in Unsupervised Feature Learning, 2011.
    """

    root: str | None = None  # a folder with the archive or its content, or torchvision's `root`
    unlabelled: bool = True

    classes: ClassVar[tuple[str, ...]] = (
        *("airplane", "bird", "car", "cat", "deer"),
        *("dog", "horse", "monkey", "ship", "truck"),
    )

    def image_size(self) -> tuple[int, int]:
        return (96, 96)

    def load(self, raw: Path) -> Raw:
        """Load from a copy in `raw` or `root`, or else download into `raw`.

        Raises `UserError` that names what is damaged, or all that was tried to get it.
        """
        places = folders(raw, self.root, "stl10")
        path = find(places, ARCHIVE.name, FOLDER) or obtain("STL-10", ARCHIVE, raw, places)
        files = {k: v for k, v in FILES.items() if self.unlabelled or "unlabeled" not in k}
        splits = self._splits(path, files)
        checksums = {ARCHIVE.name: ARCHIVE.checksum}
        return Raw(*splits, self.classes, "STL-10 (Coates, Ng, Lee, 2011)", checksums)

    def _splits(self, path: Path, files: Mapping[str, str]) -> tuple[Images, Images]:
        train, extra, test = SIZES.values()
        size = {"train": train + extra if self.unlabelled else train, "test": test}
        image = {
            split: torch.empty(n, 3, SIDE, SIDE, dtype=torch.uint8) for split, n in size.items()
        }
        label = {split: torch.full((n,), UNLABELLED) for split, n in size.items()}
        # Unlabelled images go behind the others, so that nothing is in memory twice.
        into = {
            "train_X.bin": image["train"][:train],
            "train_y.bin": label["train"][:train],
            "unlabeled_X.bin": image["train"][train:],
            "test_X.bin": image["test"],
            "test_y.bin": label["test"],
        }
        found = set()
        for member in published(path, ARCHIVE.checksum, files, LARGEST):
            if (name := PurePosixPath(member.name).name) in files:
                _read(member, into[name])
                found.add(name)
        if missing := [name for name in files if name not in found]:
            raise UserError(f"{path} has no {', '.join(missing)}; delete it, start again")
        first = {"train": 0, "test": train + extra}  # ids; no setting changes them
        train_split, test_split = (
            Images.of(torch.arange(first[s], first[s] + size[s]), image[s], label[s]) for s in size
        )
        return train_split, test_split


def _read(member: Member, into: Tensor) -> None:
    """Read labels (N,), counted from 1, or images (N, 3, H, W), each stored column by column."""
    if into.dim() == 1:
        into[:] = (
            torch.from_numpy(np.frombuffer(member.read(len(into)), np.uint8).copy()).long() - 1
        )
        return
    for part in into.split(BLOCK):
        pixels = np.frombuffer(member.read(part.numel()), np.uint8).reshape(part.shape)
        part.numpy()[:] = pixels.swapaxes(2, 3)
