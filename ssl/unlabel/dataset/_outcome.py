"""What becomes of one encoded image; many are looked at side by side."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from unlabel.data.compressed import Format, keep_or_encode
from unlabel.data.decode import Limits, Unreadable, decode, extent, is_grey
from unlabel.data.source_state import LOST


class Example(NamedTuple):
    """An encoded image, before it is read."""

    name: str  # unique and never changes: the id, and so the order, depends on it
    split: str  # train, validation or test; "" where nobody has said
    label: str | None
    # from any thread, and twice if need be; may raise OSError or `Unreadable`
    read: Callable[[], bytes]
    file: str = ""  # the name of its own file; "" where the bytes are in a table


@dataclass(frozen=True)
class Form:
    """What all images are brought into."""

    height: int
    width: int
    channels: int | None  # None: 1 if all images are grey, else 3
    fit: str
    limits: Limits | None  # the values of black and white; None: those of the set
    encoded: Format | None  # None: kept as pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W), of an image that may have colours."""
        return self.channels or 3, self.height, self.width


@dataclass
class Scale:
    """The values of black and of white in images with more than 8 bits a channel."""

    limits: Limits | None  # None: not known
    met: bool = False  # is there such an image, as far as we have seen?


class Outcome(NamedTuple):
    """What is known of an image once it was read."""

    checksum: str  # sha256 of its bytes
    why: str | None  # it cannot be used
    pixels: str = ""  # sha256 of what it shows, resized
    plain: bool = False  # it has a single colour
    grey: bool = True
    length: int = 0  # of the bytes that are kept
    crc32: int = 0  # of these


def look(example: Example, form: Form, scale: Scale) -> tuple[Outcome, bytes] | None:
    """What is known of an image, and the bytes to keep: its pixels or an encoded file.

    None if it is the first with more than 8 bits, whose scale is not known before all are seen.
    """
    checksum = LOST
    try:
        encoded = example.read()
        checksum = sha256(encoded).hexdigest()
        if not scale.met and extent(encoded) is not None:
            return None
        pixels = decode(encoded, form.shape, form.fit, scale.limits)
        grey = is_grey(encoded)
    except (Unreadable, OSError) as error:
        return Outcome(checksum, getattr(error, "strerror", None) or str(error)), b""
    shown = pixels.tobytes()
    kept = shown if form.encoded is None else keep_or_encode(encoded, pixels, form.encoded)
    plain = not np.ptp(pixels.reshape(len(pixels), -1), axis=1).any()
    seen = (sha256(shown).hexdigest(), plain, grey, len(kept), zlib.crc32(kept))
    return Outcome(checksum, None, *seen), kept


def unchanged(example: Example, outcome: Outcome) -> bool:
    """Is an image that was looked at before still the same?"""
    try:
        return sha256(example.read()).hexdigest() == outcome.checksum
    except (Unreadable, OSError):
        return outcome.checksum == LOST
