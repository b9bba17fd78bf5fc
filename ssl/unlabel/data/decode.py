"""Decode image files, such as JPEG, to pixels of one shape."""

import os
import stat
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from unlabel.errors import UserError, did_you_mean, reason

# Only these: some of Pillow's other formats start programs.
FORMATS: tuple[str, ...] = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
if "avif" in features.modules and features.check("avif"):  # Pillow 11.3 and newer
    FORMATS += ("AVIF",)
with suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    FORMATS += ("HEIF",)
FITS = ("crop", "squeeze", "pad")
GREY = ("1", "L", "LA", "La", "F")  # Pillow's grey modes, beside those that start with I
LARGEST = 1 << 30  # bytes of an image file
SPARE = 2  # decode a JPEG file at a reduced size that is still this many times too large
RESAMPLING = "bicubic, antialiased"
SHOWN = 3  # channels whose ranges a message has
BACKGROUND = "white"  # behind what is transparent
SIXTEEN_BITS = (0, (1 << 16) - 1)

# What is wrong with an image is either said by `Unreadable` or does not matter.
warnings.filterwarnings("ignore", module=r"PIL\.")

Shape = tuple[int, int, int]  # (C, H, W)
Limits = tuple[float, float]  # the values of black and of white
Range = Limits | tuple[Limits, ...] | None  # of all channels, or of each; None: as the type has it


class Preprocessing(NamedTuple):
    """How an image file becomes pixels: the arguments of `decode`."""

    shape: Shape
    fit: str = "crop"
    limits: Range = None

    @classmethod
    def of(cls, shape: Shape, record: Mapping[str, Any]) -> "Preprocessing":
        """As a `record` says; what it does not say is as by default."""
        return cls(shape, record.get("fit", "crop"), limits_of(record.get("range")))

    def record(self) -> dict[str, Any]:
        """For those who use a trained encoder, in plain words and numbers."""
        channels, height, width = self.shape
        return {
            "size": [height, width],
            "channels": channels,
            "fit": self.fit,
            "resampling": RESAMPLING,
            "range": self.limits and list(self.limits),  # black and white of deep pixels
            "background": BACKGROUND,
        }


def limits_of(record: Any) -> Range:
    """A range as it was before it was written as JSON."""
    if record is None:
        return None
    if are_several(record):
        return tuple((float(low), float(high)) for low, high in record)
    low, high = record
    return low, high


def are_several(limits: Any) -> TypeGuard[tuple[Limits, ...]]:
    """Whether a range is that of each channel, and not one of all."""
    return isinstance(limits, list | tuple) and isinstance(limits[0], list | tuple)


def of_each(limits: Range, channels: int) -> Sequence[Limits | None]:
    """The range of each channel."""
    if are_several(limits):
        return limits
    return [limits] * channels  # type: ignore[list-item]


def in_words(limits: Range) -> str:
    """A range for people: the first channels' ranges if each has its own."""
    if limits is None:
        return "the full range"
    if not are_several(limits):
        return "{:g} to {:g}".format(*limits)
    first = ", ".join(in_words(each) for each in limits[:SHOWN])
    more = f" and {len(limits) - SHOWN} more" if len(limits) > SHOWN else ""
    return f"{first}{more}, each channel by its own"


class Unreadable(Exception):
    """Why some bytes are not an image we can use, in a few words."""


def decode(
    encoded: bytes, shape: Shape, fit: str = "crop", limits: Limits | None = None
) -> np.ndarray:
    """Decode an image file to uint8 of `shape` (C, H, W): upright, resized once with antialiasing.

    One channel is grey, three are colour. `fit` handles other proportions: "crop" (the largest
    middle part), "squeeze", or "pad" (the whole image with black bars). Transparent parts become
    white. Of several frames the first counts. Pixels of more than 8 bits are scaled from `limits`,
    by default the full range of 16 bits.

    Raises `Unreadable` if the file is truncated, too large, of no known format, or its brightness
    has no known scale; raises `UserError` for a wrong shape or fit.
    """
    channels, height, width = shape
    if channels not in (1, 3) or min(height, width) < 1:
        raise UserError(f"images cannot be decoded as {shape} (channels, height, width)")
    if fit not in FITS:
        raise UserError(f"unknown fit {fit!r}: {did_you_mean(fit, FITS)}")
    with explained(), opened(encoded) as image:
        side = SPARE * max(height, width)
        image.draft(None, (side, side))  # a large JPEG file in a quarter of the time
        image.load()
        with suppress(Exception):  # an image with damaged EXIF data is still an image
            ImageOps.exif_transpose(image, in_place=True)
        plain = _plain(image, "L" if channels == 1 else "RGB", limits)
        pixels = np.asarray(fitted(plain, (width, height), fit))
    return np.ascontiguousarray(pixels.reshape(height, width, channels).transpose(2, 0, 1))


def extent(encoded: bytes) -> Limits | None:
    """The darkest and the brightest value of an image; None if it has 8 bits a channel.

    Raises `Unreadable` if it cannot be decoded.
    """
    with explained(), opened(encoded) as image:
        if not _is_deep(image):
            return None
        values = np.asarray(image)
        return values.min().item(), values.max().item()


def content(path: Path) -> bytes:
    """The bytes of an image file.

    Raises `OSError`, and `Unreadable` for a file that is too large or not a regular file, such as a
    pipe that would never end.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("it is not a regular file")
        if about.st_size > LARGEST:
            raise Unreadable(f"it has more than {LARGEST:,} bytes")
        return file.read()


def is_grey(encoded: bytes) -> bool:
    """Whether an image declares itself to have no colours. Its pixels are not decoded.

    Raises `Unreadable` if it is not an image of a known format.
    """
    with explained(), opened(encoded) as image:
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
            return bool((palette == palette[:, :1]).all())
        return image.mode in GREY or image.mode.startswith("I")


@contextmanager
def explained() -> Iterator[None]:
    """Whatever is wrong with an image is said as `Unreadable`."""
    try:
        yield
    except (Unreadable, MemoryError):  # a dataset must not depend on the memory at hand
        raise
    except Exception as error:  # a damaged file can make a library raise any exception
        raise Unreadable(_reason(error)) from error


def opened(encoded: bytes) -> Image.Image:
    """A picture in one of Pillow's `FORMATS`; its pixels are not decoded yet."""
    if not encoded:
        raise Unreadable("it is empty")
    return Image.open(BytesIO(encoded), formats=FORMATS)


def _is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def _plain(image: Image.Image, mode: str, limits: Limits | None) -> Image.Image:
    """The image in `mode`, L or RGB, whatever mode it has."""
    if _is_deep(image):  # Pillow would clip it to 255
        image = Image.fromarray(scaled(np.asarray(image), limits))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
    return image.convert(mode)


def scaled(values: np.ndarray, limits: Limits | None) -> np.ndarray:
    """Values from `limits` to uint8; those outside become black or white."""
    if limits is None:
        if values.dtype.kind not in "iu":
            raise Unreadable("its pixels are fractions, and nobody said which is black or white")
        if values.min() < 0 or values.max() > SIXTEEN_BITS[1]:
            raise Unreadable("its pixels have more than 16 bits")
        limits = SIXTEEN_BITS
    elif not np.isfinite(values).all():
        raise Unreadable("some of its pixels are not numbers")
    low, high = limits
    scale = 255 / ((high - low) or 1)
    return np.rint((values - float(low)) * scale).clip(0, 255).astype(np.uint8)


def fitted(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """The image at `size`, which is (W, H), Pillow's order."""
    method = Image.Resampling.BICUBIC  # over as many pixels as one new pixel covers
    if fit == "crop":
        return ImageOps.fit(image, size, method)
    if fit == "pad":
        return ImageOps.pad(image, size, method)
    return image.resize(size, method)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text has an address in memory
        return f"its format is not one of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "it has too many pixels"
    return reason(error)
