"""Encoded images, one by one, to a dataset: decoded, split, and said what is wrong with them."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unlabel.data import duplicates
from unlabel.data.compressed import Encoded, fitting, spool
from unlabel.data.decode import Unreadable, decode, is_grey
from unlabel.data.images import UNLABELLED, Images
from unlabel.dataset import Dataset, Raw, held
from unlabel.errors import UserError
from unlabel.progress import Progress
from unlabel.ranges import Count, PartialShare, Share
from unlabel.seeds import derive

SPLITS = ("train", "validation", "test")
# How people call them.
SPLIT = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
FEW = 3  # of many, named in a sentence


class Example(NamedTuple):
    """An encoded image, before it is read."""

    name: str  # unique, and never changes: its id, and so its place, depends on it
    split: str  # one of SPLITS, or "" where nobody has said
    label: str | None
    read: Callable[[], bytes]  # may raise OSError or `Unreadable`


class Decoded(NamedTuple):
    """The examples that could be read, N of them, and why the others could not."""

    examples: list[Example]
    image: Tensor | Encoded  # uint8 (N, C, H, W)
    content: list[str]  # sha256 of each file
    pixels: list[bytes]  # sha256 of what each shows, in its new size
    unreadable: dict[str, str]  # its name -> why


@dataclass(frozen=True, kw_only=True)
class Collection(Dataset):
    """Images of any size and kind, brought into one shape; their splits, where there are none.

    What is held out to test and validate on depends on the content of each file, so that files that
    are the same are never on two sides. Raises `UserError` for wrong settings.
    """

    path: str | None = None
    size: Count | tuple[Count, Count] = 32  # of all images afterwards: side, or height and width
    channels: Literal["auto", 1, 3] = "auto"  # auto is 1 where all images are grey, else 3
    fit: Literal["crop", "squeeze", "pad"] = "crop"  # of what is not of the same proportions
    test: PartialShare = 0.2  # of each class, where no images are there to test on
    unreadable: Share = 0.01  # the share of images that may be damaged; these are left out
    duplicates: Literal["keep", "drop"] = "keep"  # drop from train what is in test, too

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

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)"""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return height, width

    @property
    def place(self) -> Path:
        """What `path` names. Raises `UserError` if that is not there."""
        if not self.path:
            raise UserError("dataset.path is not set; give it the place of your images")
        place = Path(self.path).expanduser()
        if not place.exists():
            raise UserError(f"{place} does not exist; set dataset.path to where your images are")
        return place

    def examples(self) -> list[Example]:
        """All images there are. Raises `UserError` if there are none, or their order is unclear."""
        raise NotImplementedError

    def labels(self) -> Iterable[str | None]:
        """Of all images there are."""
        return (example.label for example in self.examples())

    def labelled(self) -> bool:
        return len(set(self.labels()) - {None}) > 1

    def load(self, raw: Path) -> Raw:
        """All images; if they stay encoded, then for a while in `raw`, and never all in memory.

        Raises `UserError` if too many of them cannot be read, or a class has too few.
        """
        examples = self.examples()
        found = self._decoded(examples, raw)
        _check_readable(found.unreadable, len(examples), self.unreadable)
        names = [example.name for example in found.examples]
        classes, label, summary = _classes([example.label for example in found.examples])
        split = self._split(found, label, classes)
        across, within = duplicates.find(found.pixels, names, split, SPLITS)
        said: dict[str, Any] = {"across splits": across, "within splits": within}
        if found.unreadable:
            summary.append(f"{len(found.unreadable)} unreadable, left out")
        if across:
            summary.append(f"{len(across)} with the same pixels in more than one split")
        if self.duplicates == "drop" and across:
            dropped = set(duplicates.leaks(across))
            keep = [at for at, name in enumerate(names) if name not in dropped]
            said["dropped"] = sorted(dropped)
            summary.append(f"{len(dropped)} of them dropped")
        else:
            keep = list(range(len(names)))
        id = torch.tensor([derive("image", name) for name in names])
        # In the order of their ids, so that the first of them are not all of one class.
        order = torch.tensor(sorted(keep, key=lambda at: int(id[at])), dtype=torch.int64)
        every = Images.of(id, found.image, label)
        train, validation, test = (every.take(order[split[order] == at]) for at in range(3))
        return Raw(
            train,
            test,
            classes,
            source=f"{len(names)} images of one's own",
            sha256={"images": _digest(zip(names, found.content, strict=True))},
            validation=validation,
            notes={"summary": summary, "unreadable": found.unreadable, "duplicates": said},
        )

    def _decoded(self, examples: Sequence[Example], raw: Path) -> Decoded:
        """All that can be read, in their order."""
        size = (1 if self.channels == 1 else 3, *self.shape)
        grey = self.channels == "auto"
        content, shown = list[str](), list[bytes]()
        readable, unreadable = list[Example](), dict[str, str]()

        def files() -> Iterator[tuple[bytes, np.ndarray]]:
            nonlocal grey
            progress = Progress("images", len(examples))
            for example in examples:
                try:
                    encoded = example.read()
                    pixels = decode(encoded, size, self.fit)
                    grey = grey and is_grey(encoded)
                except (Unreadable, OSError) as error:
                    unreadable[example.name] = getattr(error, "strerror", None) or str(error)
                else:
                    content.append(sha256(encoded).hexdigest())
                    shown.append(sha256(pixels.tobytes()).digest())
                    readable.append(example)
                    yield encoded, pixels
                progress.advance(1)
            progress.close()

        image: Tensor | Encoded
        if self.encoded is None:
            every = np.empty((len(examples), *size), np.uint8)
            for at, (_, pixels) in enumerate(files()):
                every[at] = pixels
            # The three channels of a grey image are the same.
            image = torch.from_numpy(every[: len(readable), : 1 if grey else size[0]])
        else:
            format = self.encoded
            kept = spool((fitting(*each, format) for each in files()), raw)
            shape = (1 if grey else size[0], *self.shape)
            image = Encoded(kept, torch.arange(len(readable)), shape, "the dataset")
        return Decoded(readable, image, content, shown, unreadable)

    def _split(self, found: Decoded, label: Tensor, classes: Sequence[str]) -> Tensor:
        """The place in SPLITS of each image: as it says itself, or held out of train."""
        said = {example.split for example in found.examples}
        split = torch.tensor([SPLITS.index(e.split or "train") for e in found.examples])
        if not said & {"", "train"}:
            raise UserError(f"there are images of {', '.join(sorted(said))}, but none to train on")
        # Fixed, so that no seed changes what a result is measured on.
        out = {"test": (self.test, ("test",)), "validation": (self.validation, (self.seed, "held"))}
        out = {name: how for name, how in out.items() if name not in said}
        _check_enough(found.content, label, split, classes, list(out))
        for name, (fraction, purpose) in out.items():
            pool = (split == 0).nonzero().flatten()
            keys = [found.content[at] for at in pool.tolist()]
            split[pool[held(label[pool], keys, fraction, *purpose)]] = SPLITS.index(name)
        return split


def text(name: str | os.PathLike[str]) -> str:
    """A file's name as text that can be written, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def few(names: Sequence[str]) -> str:
    """The first of many."""
    return ", ".join(names[:FEW]) + (", ..." if len(names) > FEW else "")


def _check_readable(unreadable: dict[str, str], images: int, share: float) -> None:
    if len(unreadable) > share * images or len(unreadable) == images:
        first = few([f"{name} ({why})" for name, why in unreadable.items()])
        raise UserError(
            f"{len(unreadable)} of {images} images cannot be read, more than dataset.unreadable "
            f"({share:g}) allows: {first}; mend or remove them, or allow more"
        )


def _classes(labels: Sequence[str | None]) -> tuple[tuple[str, ...], Tensor, list[str]]:
    """The names of the classes, numbers in their order; each image's label; what to say of it."""
    names = {label for label in labels if label is not None}
    said = []
    if len(names) == 1:
        said = [f"all have the class {min(names)!r}, which tells nothing: taken as unlabelled"]
        names = set()
    numbers = all(name.lstrip("-").isdecimal() for name in names)
    order = sorted(names, key=lambda name: (int(name) if numbers else 0, name))
    place: dict[str | None, int] = {name: at for at, name in enumerate(order)}
    label = torch.tensor([place.get(label, UNLABELLED) for label in labels], dtype=torch.int64)
    return tuple(order), label, said


def _check_enough(
    content: Sequence[str],
    label: Tensor,
    split: Tensor,
    classes: Sequence[str],
    out: Sequence[str],
) -> None:
    """Raise `UserError` if a class has too few images to be held `out` for the splits named."""
    different = defaultdict(set)
    for at in (split == 0).nonzero().flatten().tolist():
        different[int(label[at])].add(content[at])
    kinds = [kind for kind in different if kind != UNLABELLED] or [UNLABELLED]
    for kind in sorted(kinds):
        if len(different[kind]) <= len(out):
            who = "there are" if kind == UNLABELLED else f"the class {classes[kind]!r} has"
            raise UserError(
                f"{who} {len(different[kind])} different images, but {len(out) + 1} are needed: "
                f"one to train on and one each for {' and '.join(out)}; "
                "add images, or remove this class"
            )


def _digest(files: Iterable[tuple[str, str]]) -> str:
    return sha256(
        "".join(f"{name} {content}\n" for name, content in sorted(files)).encode()
    ).hexdigest()
