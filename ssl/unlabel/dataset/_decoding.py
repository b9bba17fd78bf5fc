"""Decode your own images, one by one, and note what is wrong with them."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unlabel.data.any_image import OtherChannels, decode, extent, is_grey
from unlabel.data.compressed import CompressedImages, Format, keep_or_encode, spool
from unlabel.data.decode import Limits, Range, Unreadable
from unlabel.data.source_state import LOST
from unlabel.errors import UserError
from unlabel.progress import Progress


class Example(NamedTuple):
    """An encoded image, before it is read."""

    name: str  # unique and never changes: the id, and so the order, depends on it
    split: str  # train, validation or test; "" where nobody has said
    label: str | None
    read: Callable[[], bytes]  # may raise OSError or `Unreadable`
    file: str = ""  # the name of its own file; "" where the bytes are in a table


@dataclass(frozen=True)
class Form:
    """What all images are brought into."""

    height: int
    width: int
    channels: int | None  # None: 1 if all images are grey, else 3
    fit: str
    limits: Range  # the values of black and white; None: those of the set
    encoded: Format | None  # None: kept as pixels


@dataclass
class Decoded:
    """The N examples that could be read, and what was seen on the way."""

    examples: list[Example] = field(default_factory=list)
    content: list[str] = field(default_factory=list)  # sha256 of each file
    pixels: list[bytes] = field(default_factory=list)  # sha256 of what each shows, resized
    unreadable: dict[str, str] = field(default_factory=dict)  # name -> why
    plain: list[str] = field(default_factory=list)  # names of images of a single colour
    files: dict[str, str] = field(default_factory=dict)  # sha256 of each image's own file
    limits: Range = None  # of black and white, if any image has more than 8 bits
    grey: bool = True  # all images are
    image: Tensor | CompressedImages = field(default_factory=lambda: torch.empty(0))


def decoded(examples: Sequence[Example], form: Form, folder: Path) -> Decoded:
    """All images that can be read, in order, as uint8 (N, C, H, W).

    If they stay encoded they are spooled into `folder`. Raises `UserError` if memory cannot hold
    the pixels.
    """
    found = Decoded()
    size = (form.channels or 3, form.height, form.width)
    images = _decode_each(examples, form, found)
    # The three channels of a grey image are the same.
    channels = lambda: 1 if form.channels is None and found.grey else size[0]  # noqa: E731
    if form.encoded is None:
        pixels = _allocated(len(examples), size)
        for at, (_, each) in enumerate(images):
            pixels[at] = each
        found.image = torch.from_numpy(pixels[: len(found.examples), : channels()])
    else:
        format = form.encoded
        store = spool((keep_or_encode(*each, format) for each in images), folder)
        shape = (channels(), form.height, form.width)
        ids = torch.arange(len(found.examples))
        found.image = CompressedImages(store, ids, shape, "the dataset")
    return found


def _decode_each(
    examples: Sequence[Example], form: Form, found: Decoded
) -> Iterator[tuple[bytes, np.ndarray]]:
    """Each readable image's file and pixels (C, H, W); `found` notes all else."""
    size, limits = (form.channels or 3, form.height, form.width), form.limits
    progress = Progress("images", len(examples))
    for at, example in enumerate(examples):
        checksum = LOST
        try:
            encoded = example.read()
            checksum = sha256(encoded).hexdigest()
            if found.limits is None and extent(encoded) is not None:
                limits = found.limits = limits or _range(examples[at:])
            pixels = decode(encoded, size, form.fit, limits)
            found.grey = found.grey and is_grey(encoded)
        except OtherChannels as error:
            raise error.of(example.name) from error
        except (Unreadable, OSError) as error:
            found.unreadable[example.name] = getattr(error, "strerror", None) or str(error)
        else:
            found.content.append(checksum)
            found.pixels.append(sha256(pixels.tobytes()).digest())
            found.examples.append(example)
            if not np.ptp(pixels.reshape(len(pixels), -1), axis=1).any():
                found.plain.append(example.name)
            yield encoded, pixels
        if example.file:
            found.files[example.file] = checksum
        progress.advance(1)
    progress.close()


def _range(examples: Sequence[Example]) -> Limits:
    """The darkest and the brightest value of all images with more than 8 bits a channel."""
    found: list[Limits] = []
    progress = Progress("range of the pixels", len(examples))
    for example in examples:
        try:
            values = extent(example.read())
        except (Unreadable, OSError):
            values = None
        if values is not None and np.isfinite(values).all():
            found.append(values)
        progress.advance(1)
    progress.close()
    low, high = zip(*found, strict=True) if found else ((0,), (0,))
    return min(low), max(high)


def _allocated(images: int, size: tuple[int, int, int]) -> np.ndarray:
    """Room for the pixels. Raises `UserError` if this machine has less memory than they need."""
    needed = images * int(np.prod(size))
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        if needed <= there:
            return np.empty((images, *size), np.uint8)
    except MemoryError:
        pass
    channels, height, width = size
    raise UserError(
        f"{images:,} images of {height} x {width} pixels and {channels} channels need "
        f"{needed / 2**30:.1f} GiB of memory, more than there is here; set encoded=jpeg, which "
        "keeps them compressed on the disk, or make size smaller"
    )
