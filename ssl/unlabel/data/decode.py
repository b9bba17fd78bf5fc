"""Encoded images, such as JPEG files, to pixels of one shape."""

import os
import stat
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unlabel.errors import UserError, did_you_mean, reason

# Only these: some of Pillow's other formats start programs.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
)
FITS = ("crop", "squeeze", "pad")
GREY = ("1", "L", "LA", "La")  # Pillow's modes, and those that start with I
LARGEST = 1 << 30  # bytes of an encoded image
SPARE = 2  # a JPEG file may be decoded at a fraction of its size that is this much too large
BACKGROUND = "white"  # of what is transparent

# What is wrong with an image is said by `Unreadable`, or does not matter.
warnings.filterwarnings("ignore", module=r"PIL\.")

Shape = tuple[int, int, int]  # (C, H, W)


class Unreadable(Exception):
    """Why bytes are not an image that can be used, in a few words."""


def decode(encoded: bytes, shape: Shape, fit: str = "crop") -> np.ndarray:
    """An encoded image as uint8 of `shape` (C, H, W): upright, resized once with antialiasing.

    One channel is grey, three are colour. Where the image has other proportions, `fit` is "crop"
    (the middle, as large as can be), "squeeze", or "pad" (all of it, with black bars). What is
    transparent becomes white; of 16 bits the upper 8 count; of several frames the first does.

    Raises `Unreadable` if it is truncated, no image of a known format, too large or of a kind whose
    brightness is not known, and `UserError` for another shape or fit.
    """
    channels, height, width = shape
    if channels not in (1, 3) or min(height, width) < 1:
        raise UserError(f"images cannot be decoded as {shape} (channels, height, width)")
    if fit not in FITS:
        raise UserError(f"unknown fit {fit!r}: {did_you_mean(fit, FITS)}")
    try:
        with _opened(encoded) as image:
            side = SPARE * max(height, width)
            image.draft(None, (side, side))  # a large JPEG file in a quarter of the time
            image.load()
            with suppress(Exception):  # an image whose EXIF data are damaged is still an image
                ImageOps.exif_transpose(image, in_place=True)
            plain = _plain(image, "L" if channels == 1 else "RGB")
            pixels = np.asarray(_fitted(plain, (width, height), fit))
    except (Unreadable, MemoryError):  # what memory there is must not change a dataset
        raise
    except Exception as error:  # there is no exception that no damaged file makes Pillow raise
        raise Unreadable(_reason(error)) from error
    return np.ascontiguousarray(pixels.reshape(height, width, channels).transpose(2, 0, 1))


def content(path: Path) -> bytes:
    """The bytes of an image's file.

    Raises `OSError`, and `Unreadable` for what is no regular file, such as a pipe that would never
    end, or is larger than any image.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("it is no regular file")
        if about.st_size > LARGEST:
            raise Unreadable(f"it has more than {LARGEST:,} bytes")
        return file.read()


def is_grey(encoded: bytes) -> bool:
    """Whether an image says of itself that it has no colours; its pixels are not decoded.

    Raises `Unreadable` if it is no image of a known format.
    """
    try:
        with _opened(encoded) as image:
            if image.mode == "P":
                palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
                return bool((palette == palette[:, :1]).all())
            return image.mode in GREY or image.mode.startswith("I")
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable(_reason(error)) from error


def find(folder: Path) -> list[Path]:
    """All files below `folder` that have an image's extension, in order of their paths.

    Hidden files and folders are left out, and so are links to folders and links that lead out of
    `folder`. Raises `UserError` if it is no folder, or something in it cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one that has images in it")
    root, paths = folder.resolve(), []

    def fail(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    for here, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(here, name)
            if name.startswith(".") or path.suffix.lower() not in EXTENSIONS:
                continue
            if not path.is_symlink() or path.resolve().is_relative_to(root):
                paths.append(path)
    return sorted(paths)


def _opened(encoded: bytes) -> Image.Image:
    if not encoded:
        raise Unreadable("it is empty")
    return Image.open(BytesIO(encoded), formats=FORMATS)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """In `mode`, L or RGB, whatever mode it has."""
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip to 255
        values = np.asarray(image)
        if values.min() < 0 or values.max() >= 1 << 16:
            raise Unreadable("its pixels have more than 16 bits")
        image = Image.fromarray((values >> 8).astype(np.uint8))
    elif image.mode == "F":
        raise Unreadable("its pixels are fractions, of which nobody knows how bright they are")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
    return image.convert(mode)


def _fitted(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """`size` is (W, H), Pillow's order."""
    method = Image.Resampling.BICUBIC  # over as many pixels as one of the new ones covers
    if fit == "crop":
        return ImageOps.fit(image, size, method)
    if fit == "pad":
        return ImageOps.pad(image, size, method)
    return image.resize(size, method)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # names an address in memory
        return f"it is none of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "it has too many pixels"
    return reason(error)
