"""PNG files with 16 bits a sample that Pillow shows with 8: in colour, or transparent."""

from contextlib import suppress

import numpy as np
from PIL import ImageFile, ImageOps

from unlabel.data.decode import opened
from unlabel.data.tiff import UNASSOCIATED

MAGIC = b"\x89PNG\r\n\x1a\n"
BITS, KIND = 24, 25  # where the first chunk says them
COLOUR, GREY_TRANSPARENT, TRANSPARENT = 2, 4, 6  # kinds of pictures


def is_one(encoded: bytes) -> bool:
    """Is a file such a PNG?"""
    return (
        encoded.startswith(MAGIC)
        and encoded[BITS : BITS + 1] == b"\x10"
        and encoded[KIND : KIND + 1] in (b"\2", b"\4", b"\6")
    )


def beside(encoded: bytes) -> tuple[int, int] | None:
    """As `unlabel.data.tiff.beside`."""
    colours = {GREY_TRANSPARENT: 1, TRANSPARENT: 3}.get(encoded[KIND])
    return (colours, UNASSOCIATED) if colours else None


def values(encoded: bytes) -> np.ndarray:
    """All 16 bits of each sample, upright: uint16 (H, W, C).

    Pillow reads half of them at a time. It knows such numbers with either byte first, and keeps
    the high byte: of those with the low byte first, that is ours. Other libraries read them at
    once, but damaged files end torchvision's process, and imagecodecs' after many.
    """
    if encoded[KIND] == GREY_TRANSPARENT:  # as many bytes as four samples of 8 bits
        both = _bytes(encoded, "RGBA")
        high, low = both[..., ::2], both[..., 1::2]
    else:
        mode = "RGB" if encoded[KIND] == COLOUR else "RGBA"
        high, low = _bytes(encoded, f"{mode};16B"), _bytes(encoded, f"{mode};16L")
    return high.astype(np.uint16) << 8 | low


def _bytes(encoded: bytes, mode: str) -> np.ndarray:
    """What Pillow makes of the file if its pixels are said to lie in `mode`."""
    with opened(encoded) as image:
        assert isinstance(image, ImageFile.ImageFile)
        image.tile = [each._replace(args=mode) for each in image.tile]
        image.load()
        with suppress(Exception):  # as of a picture
            ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image)
