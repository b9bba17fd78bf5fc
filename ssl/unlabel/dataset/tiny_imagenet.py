"""Tiny ImageNet: 200 classes of ImageNet, at 64 x 64 pixels."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unlabel.data.download import File
from unlabel.data.image_archive import decoded, inside, located, mixed
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError

SHAPE = (3, 64, 64)
TRAIN, TEST = 100_000, 10_000  # images
FOLDER = "tiny-imagenet-200"
ARCHIVE = File(
    "tiny-imagenet-200.zip",
    248_100_043,
    "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
    ("http://cs231n.stanford.edu/tiny-imagenet-200.zip",),
)
CLASSES, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"


@dataclass(frozen=True, kw_only=True)
class TinyImageNet(Dataset):
    """100,000 photographs to train on and 10,000 to test on, (3, 64, 64), 200 classes.

    The test images are its validation images, as the labels of its test set were never published.
    Le and Yang, Tiny ImageNet Visual Recognition Challenge, 2015.
    """

    root: str | None = None  # a folder with the archive or its content

    def image_size(self) -> tuple[int, int]:
        return (64, 64)

    def load(self, raw: Path) -> Raw:
        """Load from a copy in `raw` or `root`, or else download into `raw`.

        Raises `UserError` that names what is damaged, or all that was tried to get it.
        """
        path = located("Tiny ImageNet", ARCHIVE, FOLDER, raw, self.root, "tiny_imagenet")
        names, texts = inside(path, FOLDER, CLASSES, WORDS, ANNOTATIONS)
        classes = sorted(texts[CLASSES].split())
        train = [name for name in names if re.fullmatch(r"train/n\d+/images/[^/.]+\.JPEG", name)]
        test = [name for name in names if re.fullmatch(r"val/images/[^/.]+\.JPEG", name)]
        for split, found, size in (("train", train, TRAIN), ("val", test, TEST)):
            if len(found) != size:
                raise UserError(
                    f"{path} has {len(found):,} images in {split}, but {size:,} were published; "
                    "get a whole copy"
                )
        lines = [line.split("\t") for line in texts[ANNOTATIONS].splitlines()]
        annotated = {line[0]: line[1] for line in lines if len(line) > 1}
        number = {name: label for label, name in enumerate(classes)}
        try:
            labels = [number[name.split("/")[1]] for name in train]
            labels += [number[annotated[name.split("/")[-1]]] for name in test]
        except KeyError as error:
            raise UserError(
                f"{path} has no class in {CLASSES} for {error.args[0]!r}; get a whole copy"
            ) from error
        order = mixed(TRAIN, TEST)
        image, checksum = decoded(path, FOLDER, train + test, SHAPE, order)
        every = Images.of(order, image, torch.tensor(labels)[order])
        source = "Tiny ImageNet (Le, Yang, 2015)"
        return Raw(
            every.take(slice(TRAIN)),
            every.take(slice(TRAIN, None)),
            _words(classes, texts[WORDS]),
            source,
            {FOLDER: checksum},
        )


def _words(classes: Sequence[str], words: str) -> tuple[str, ...]:
    """The first word for each class, with the class's id if two classes share a word."""
    known = dict(line.split("\t", 1) for line in words.splitlines() if "\t" in line)
    first = [known.get(name, name).split(",")[0].strip() for name in classes]
    count = Counter(first)
    return tuple(
        word if count[word] == 1 else f"{word} ({name})"
        for word, name in zip(first, classes, strict=True)
    )
