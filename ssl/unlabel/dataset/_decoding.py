"""Decode your own images, side by side, and note what is wrong with them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import PIL
import torch
from torch import Tensor

from unlabel.data.compressed import CompressedImages, ImageStore
from unlabel.data.decode import Limits, Unreadable, extent
from unlabel.data.preparation import in_order, kept_aside
from unlabel.data.unfinished import Unfinished, opened
from unlabel.dataset._outcome import Example, Form, Outcome, Scale, look, unchanged
from unlabel.errors import UserError
from unlabel.fingerprint import fingerprint
from unlabel.progress import Progress, note

PART = 1000  # images after which a killed process goes on; fewer are no large loss


@dataclass
class Decoded:
    """The N examples that could be read, and what was seen on the way."""

    examples: list[Example] = field(default_factory=list)
    content: list[str] = field(default_factory=list)  # sha256 of each file
    pixels: list[str] = field(default_factory=list)  # sha256 of what each shows, resized
    unreadable: dict[str, str] = field(default_factory=dict)  # name -> why
    plain: list[str] = field(default_factory=list)  # names of images of a single colour
    files: dict[str, str] = field(default_factory=dict)  # sha256 of each image's own file
    limits: Limits | None = None  # of black and white, if any image has more than 8 bits
    grey: bool = True  # all images are
    image: Tensor | CompressedImages = field(default_factory=lambda: torch.empty(0))


def decoded(examples: Sequence[Example], form: Form, folder: Path) -> Decoded:
    """All images that can be read, in order, as uint8 (N, C, H, W), in a file in `folder`.

    A large set is taken up where a killed process stopped. Raises `UserError` if memory cannot
    hold the pixels.
    """
    if form.encoded is None:
        _check_memory(len(examples), form)
    large, scale = len(examples) > PART, Scale(form.limits)
    with _files(folder, large) as files:
        unfinished = Unfinished(*files, _key(form) if large else "")
        outcomes = _taken_up(unfinished, examples, scale)
        if outcomes:
            note(f"{len(outcomes)} of {len(examples)} images were decoded before, and are kept")
        _go_on(unfinished, examples, form, scale, outcomes)
        found = _noted(examples, outcomes)
        found.limits = scale.limits if scale.met else None
        if found.examples:
            found.image = _stored(unfinished.images, outcomes, form, found.grey)
    return found


@contextmanager
def _files(folder: Path, large: bool) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A file for the images and one for their parts; without names unless there are many images."""
    folder.mkdir(parents=True, exist_ok=True)
    if place := kept_aside(folder) if large else None:
        with opened(place / "images") as images, opened(place / "parts") as parts:
            yield images, parts
    else:
        with TemporaryFile(dir=folder) as images, TemporaryFile(dir=folder) as parts:
            yield images, parts


def _key(form: Form) -> str:
    """Another key is another code, or another way to decode."""
    return f"{fingerprint(f'{__name__}.decoded')} Pillow {PIL.__version__} {form}"


def _taken_up(unfinished: Unfinished, examples: Sequence[Example], scale: Scale) -> list[Outcome]:
    """What a killed process has seen of the first images, as far as they are still the same."""
    outcomes: list[Outcome] = []
    with closing(unfinished.found()) as parts:
        for part in parts:
            limits, seen = part.about
            made, begun = [Outcome(*each) for each in seen], len(outcomes)
            these = examples[begun : begun + len(made)]
            pairs = zip(these, made, strict=False)
            if len(these) < len(made) or not all(in_order(_unchanged, pairs)):
                break
            if limits is not None:
                _measure(scale, examples[begun:])
            if limits != _limits(scale):
                break
            outcomes += made
    return outcomes


def _unchanged(pair: tuple[Example, Outcome]) -> bool:
    return unchanged(*pair)


def _go_on(
    unfinished: Unfinished,
    examples: Sequence[Example],
    form: Form,
    scale: Scale,
    outcomes: list[Outcome],
) -> None:
    """Look at the other images, add them to the `outcomes`, and keep part after part."""
    begun = len(outcomes)
    progress = Progress("images", len(examples), begun)
    see = partial(look, form=form, scale=scale)
    for at, seen in enumerate(in_order(see, examples[begun:]), begun):
        if seen is None:  # the scale of deep pixels is that of all images
            _measure(scale, examples[at:])
            seen = see(examples[at])
            assert seen
        outcome, kept = seen
        unfinished.add(kept)
        outcomes.append(outcome)
        if len(outcomes) in (begun + PART, len(examples)):
            unfinished.end_part([_limits(scale), outcomes[begun:]])
            begun = len(outcomes)
        progress.advance(1)
    progress.close()


def _noted(examples: Sequence[Example], outcomes: Sequence[Outcome]) -> Decoded:
    """All but the images themselves."""
    found = Decoded()
    for example, outcome in zip(examples, outcomes, strict=True):
        if example.file:
            found.files[example.file] = outcome.checksum
        if outcome.why is not None:
            found.unreadable[example.name] = outcome.why
            continue
        found.examples.append(example)
        found.content.append(outcome.checksum)
        found.pixels.append(outcome.pixels)
        if outcome.plain:
            found.plain.append(example.name)
        found.grey = found.grey and outcome.grey
    return found


def _stored(
    file: IO[bytes], outcomes: Sequence[Outcome], form: Form, grey: bool
) -> Tensor | CompressedImages:
    """The images in a file, which stays open as long as they are used."""
    readable = [outcome for outcome in outcomes if outcome.why is None]
    colours, height, width = form.shape
    # The three channels of a grey image are the same.
    channels = 1 if form.channels is None and grey else colours
    if form.encoded is None:
        # what the caller changes goes to memory, not into the file
        pixels = np.memmap(file, np.uint8, "c", shape=(len(readable), *form.shape))
        return torch.from_numpy(pixels[:, :channels])
    length = np.array([outcome.length for outcome in readable], np.int64)
    crc32 = np.array([outcome.crc32 for outcome in readable], np.int64)
    store = ImageStore(file, length.cumsum() - length, length, crc32)
    return CompressedImages(
        store, torch.arange(len(store)), (channels, height, width), "the dataset"
    )


def _measure(scale: Scale, examples: Sequence[Example]) -> None:
    """Find the values of black and white, if nobody has said them, among these images."""
    if not scale.met:
        scale.limits = scale.limits or _range(examples)
        scale.met = True


def _limits(scale: Scale) -> str | None:
    """As a part keeps them; None if no image needs them yet."""
    return repr(scale.limits) if scale.met else None


def _range(examples: Sequence[Example]) -> Limits:
    """The darkest and the brightest value of all images with more than 8 bits a channel."""
    found: list[Limits] = []
    progress = Progress("range of the pixels", len(examples))
    for values in in_order(_extent, examples):
        if values is not None and np.isfinite(values).all():
            found.append(values)
        progress.advance(1)
    progress.close()
    low, high = zip(*found, strict=True) if found else ((0,), (0,))
    return min(low), max(high)


def _extent(example: Example) -> Limits | None:
    try:
        return extent(example.read())
    except (Unreadable, OSError):
        return None


def _check_memory(images: int, form: Form) -> None:
    """Raise `UserError` if this machine has less memory than the pixels need."""
    channels, height, width = form.shape
    needed = images * channels * height * width
    if needed > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise UserError(
            f"{images:,} images of {height} x {width} pixels and {channels} channels need "
            f"{needed / 2**30:.1f} GiB of memory, more than there is here; set encoded=jpeg, which "
            "keeps them compressed on the disk, or make size smaller"
        )
