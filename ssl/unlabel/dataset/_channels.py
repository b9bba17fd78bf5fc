"""Images of more than three channels, or of two: how many there are, and how each is scaled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from unlabel.data import any_image
from unlabel.data.any_image import PICTURE
from unlabel.data.decode import Limits, Range, Unreadable, are_several, of_each
from unlabel.data.preparation import in_order
from unlabel.dataset._outcome import Example, Form
from unlabel.errors import UserError
from unlabel.progress import Progress

# As StarDist scales images of microscopes: a few dead or glaring pixels do not count.
DARK, BRIGHT = 1, 99.8  # percentiles
IMAGES, PIXELS = 1000, 2048  # at most so many images, and pixels of each, tell a channel's range


def completed(form: Form, examples: Sequence[Example]) -> Form:
    """The form of images of many channels, with their number and their ranges; else as it is.

    The ranges are those of images that are not said to be for validation or testing. Raises
    `UserError` for settings that do not fit the images.
    """
    channels = form.channels or _first(examples)
    if channels is None or channels in PICTURE:
        if are_several(form.limits):
            raise UserError(
                "dataset.range has a pair for each channel, but images in grey or in colour have "
                "one range; write it as range=[0,4095]"
            )
        return form
    if form.encoded is not None:
        raise UserError(
            f"encoded={form.encoded} keeps images of 1 or 3 channels, but these have {channels}; "
            "set encoded=null"
        )
    limits: Range = form.limits
    if (pairs := len(of_each(limits, channels))) != channels:
        raise UserError(
            f"dataset.range has {pairs} pairs, but the images have {channels} channels; "
            "write a pair for each, or one range for all"
        )
    train = [each for each in examples if each.split in ("", "train")]
    return replace(form, channels=channels, limits=limits or _ranges(train, channels))


def shown_channels(chosen: Sequence[int] | None, channels: int | None) -> dict[str, Sequence[int]]:
    """What the record of a set says of its pictures: which channels are red, green and blue.

    Raises `UserError` for channels that the images do not have.
    """
    if channels is None or channels in PICTURE:
        if chosen is not None:
            raise UserError("dataset.shown is for images that are neither grey nor in colour")
        return {}
    shown = list(chosen or range(min(channels, 3)))
    if max(shown) >= channels:
        raise UserError(
            f"dataset.shown is {shown}, but the images have {channels} channels, from 0 to "
            f"{channels - 1}"
        )
    return {"shown": shown}


def describe_channels(form: Form, record: Mapping[str, Sequence[int]]) -> list[str]:
    """What people should know of images of many channels."""
    if "shown" not in record:
        return []
    colours = zip(("red", "green", "blue"), record["shown"], strict=False)
    said = ", ".join(f"{channel} as {colour}" for colour, channel in colours)
    return [f"{form.channels} channels; pictures show {said} (shown)"]


def _first(examples: Sequence[Example]) -> int | None:
    """The channels of the first image that can be read; None: a picture, in grey or in colour."""
    for example in examples:
        try:
            return any_image.channels(example.read())
        except (Unreadable, OSError):
            continue
    return None  # what is wrong with all of them is said when they are decoded


def _ranges(examples: Sequence[Example], channels: int) -> tuple[Limits, ...] | None:
    """The percentiles of each channel; None if all images have 8 bits."""
    found = list(_samples(examples, channels))
    if not found:
        return None
    low, high = np.percentile(np.concatenate(found), (DARK, BRIGHT), axis=0)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def _samples(examples: Sequence[Example], channels: int) -> Iterator[np.ndarray]:
    """Some pixels (n, C) of some images, spread evenly, if they have more than 8 bits."""
    chosen = examples[:: -(-len(examples) // IMAGES) or 1]
    progress = Progress("range of the channels", len(chosen))
    for some in in_order(partial(_some, channels=channels), chosen):
        if some is not None:
            yield some
        progress.advance(1)
    progress.close()


def _some(example: Example, channels: int) -> np.ndarray | None:
    """Some pixels (n, C) of an image; None if it has 8 bits or cannot be used."""
    try:
        values = any_image.values(example.read(), channels)
    except (Unreadable, OSError):
        return None
    pixels = values.reshape(-1, channels)
    some = np.linspace(0, len(pixels) - 1, min(PIXELS, len(pixels))).round().astype(int)
    deep = any_image.is_deep(values) and np.isfinite(pixels[some]).all()
    return pixels[some].astype(np.float64) if deep else None
