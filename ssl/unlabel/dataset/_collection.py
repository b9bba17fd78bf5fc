"""Encoded images of your own, made into a dataset: decoded, split, and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from unlabel.data.decode import Preprocessing
from unlabel.data.expected import Expected
from unlabel.data.image_files import say, shortened
from unlabel.data.images import Images
from unlabel.data.names import few
from unlabel.data.source_state import digest
from unlabel.dataset import Raw, check_labels, held_out_mask
from unlabel.dataset._alike import alike as find_alike
from unlabel.dataset._classes import check_enough, classes_of, describe
from unlabel.dataset._decoding import Decoded, decoded
from unlabel.dataset._layout import SPLITS
from unlabel.dataset._outcome import Form
from unlabel.dataset._source import Source
from unlabel.errors import UserError
from unlabel.ranges import Count, Finite, PartialShare, Share
from unlabel.seeds import derive


@dataclass(frozen=True, kw_only=True)
class Collection(Source):
    """Images of any size and format, brought into one shape, and split where they are not yet.

    The choice of what to hold out depends on the content of each file, so files with the same
    content always end up on the same side. Raises `UserError` for wrong settings.
    """

    size: Count | tuple[Count, Count] = 32  # of all images afterwards: side, or height and width
    channels: Literal["auto", 1, 3] = "auto"  # auto is 1 if all images are grey, else 3
    fit: Literal["crop", "squeeze", "pad"] = "crop"  # for images of other proportions
    range: Literal["auto"] | tuple[Finite, Finite] = "auto"  # black and white of deep pixels
    test: PartialShare = 0.2  # of each class, if there are no test images
    unreadable: Share = 0.01  # the share of images that may be damaged; they are left out
    duplicates: Literal["keep", "drop"] = "keep"  # drop removes from train what is also in test

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.test < 1:
            raise UserError(
                f"dataset.test is {self.test}, but must lie between 0 and 1: "
                "it is the fraction of the images that is held out to test on"
            )
        if not 0 <= self.unreadable <= 1:
            raise UserError(f"dataset.unreadable is {self.unreadable}, but must be from 0 to 1")
        if min(self.shape) < 1:
            raise UserError(f"dataset.size is {self.size}, but must be 1 or more")
        if self.range != "auto" and not self.range[0] < self.range[1]:
            raise UserError(
                f"dataset.range is {list(self.range)}, but must be the value of black and then a "
                "larger one, of white"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)"""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return height, width

    def labelled(self) -> bool:
        return bool(classes_of([example.label for example in self.examples()]).names)

    def image_size(self) -> tuple[int, int]:
        return self.shape

    def expected(self) -> Expected:
        """Raises `UserError` if a class has too few images for the splits."""
        examples = self.examples()
        classes = classes_of([example.label for example in examples])
        every = Decoded(examples, content=list(map(str, range(len(examples)))))
        split = self._split(every, classes.label, classes.names)
        check_labels({n: classes.label[split == k] for k, n in enumerate(SPLITS)}, classes.names)
        counts = dict(zip(SPLITS, split.bincount(minlength=len(SPLITS)).tolist(), strict=True))
        return Expected(bool(classes.names), self.shape, counts, len(classes.names))

    def load(self, raw: Path) -> Raw:
        """All images, from a file in `raw`. If they stay encoded they are never all in memory.

        Raises `UserError` if too many of them cannot be read, or a class has too few.
        """
        listing = self.listing()
        found = decoded(listing.examples, self._form(), raw)
        _check_readable(found.unreadable, len(listing.examples), self.unreadable)
        names = [example.name for example in found.examples]
        classes = classes_of([example.label for example in found.examples])
        split = self._split(found, classes.label, classes.names)
        alike = find_alike(found, names, split, self.duplicates == "drop")
        id = torch.tensor([derive("image", name) for name in names])
        # In the order of their ids, so that the first images are not all of one class.
        order = torch.tensor(sorted(alike.keep, key=lambda at: int(id[at])), dtype=torch.int64)
        every = Images.of(id, found.image, classes.label)
        train, validation, test = (every.take(order[split[order] == at]) for at in range(3))
        said = {example.split for example in found.examples}
        unlabelled = int((classes.label[alike.rest] < 0).sum())
        summary = [describe(classes.names, [s for s in SPLITS if s in said], unlabelled)]
        summary += [*listing.remarks, *classes.remarks, *say(listing.skipped), *_summary(found)]
        return Raw(
            train,
            test,
            classes.names,
            source=f"{len(names)} images of your own",
            sha256={"images": digest(zip(names, found.content, strict=True))},
            validation=validation,
            notes={
                "summary": [*summary, *alike.summary],
                "skipped": shortened(listing.skipped),
                "unreadable": found.unreadable,
                "one colour": found.plain,
                "range": found.limits,
                "duplicates": alike.record,
                "files": digest((self.checksums() | found.files).items()),
            },
            preprocessing=self._preprocessing(found).record(),
        )

    def _form(self) -> Form:
        channels = None if self.channels == "auto" else self.channels
        limits = None if self.range == "auto" else (self.range[0], self.range[1])
        return Form(*self.shape, channels, self.fit, limits, self.encoded)

    def _preprocessing(self, found: Decoded) -> Preprocessing:
        channels, height, width = found.image.shape[1:]
        limits = found.limits or self._form().limits
        return Preprocessing((channels, height, width), self.fit, limits)

    def _split(self, found: Decoded, label: Tensor, classes: Sequence[str]) -> Tensor:
        """The place in SPLITS of each image: the split it belongs to, or the one it is chosen for.

        Only images of train are held out, for the splits that nobody has made.
        """
        said = {example.split for example in found.examples}
        split = torch.tensor([SPLITS.index(e.split or "train") for e in found.examples])
        if not said & {"", "train"}:
            raise UserError(f"there are images of {', '.join(sorted(said))}, but none to train on")
        # The test images depend on no seed: it must not change what a result is measured on.
        out = {"test": (self.test, ("test",)), "validation": (self.validation, (self.seed, "held"))}
        out = {name: how for name, how in out.items() if name not in said}
        check_enough(found.content, label, split, classes, list(out))
        for name, (fraction, purpose) in out.items():
            pool = (split == 0).nonzero().flatten()
            keys = [found.content[at] for at in pool.tolist()]
            mask = held_out_mask(label[pool], keys, fraction, *purpose)
            split[pool[mask]] = SPLITS.index(name)
        return split


def _summary(found: Decoded) -> list[str]:
    """What a person should know of the images, in a few words each."""
    said, images = [], len(found.examples)
    if found.limits:
        low, high = found.limits
        said.append(f"pixels of more than 8 bits, scaled from {low:g} to {high:g} (range)")
    if found.unreadable:
        said.append(f"{len(found.unreadable)} unreadable, left out: {few(found.unreadable)}")
    if found.plain:
        said.append(f"{len(found.plain)} of {images} have a single colour: {few(found.plain)}")
    return said


def _check_readable(unreadable: dict[str, str], images: int, share: float) -> None:
    first = few([f"{name} ({why})" for name, why in unreadable.items()])
    if len(unreadable) == images:
        raise UserError(f"none of the {images} images can be read: {first}; repair or replace them")
    if len(unreadable) > share * images:
        enough = ceil(10 * len(unreadable) / images) / 10
        raise UserError(
            f"{len(unreadable)} of {images} images cannot be read, more than unreadable={share:g} "
            f"allows: {first}; repair or remove them, or allow more, as in --config "
            f"unreadable={enough:g}"
        )
