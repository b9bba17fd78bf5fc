"""TIFF files of many channels. Their numbers are read by tifffile, the extra `tiff`."""

import logging
import re
from io import BytesIO

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from unlabel.data.decode import Unreadable

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF's
BITS, PHOTOMETRIC, DESCRIPTION, SAMPLES, EXTRA = 258, 262, 270, 277, 338
GREY = (0, 1)  # photometric interpretations: white is 0, black is 0
LARGEST = 1 << 30  # numbers of an image

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong raises too


def is_tiff(encoded: bytes) -> bool:
    return encoded[:4] in MAGIC


def is_picture(encoded: bytes) -> bool:
    """Whether Pillow can show it, in grey or in colour."""
    tags = _tags(encoded)
    samples, bits = _samples(tags), max(tags.get(BITS) or (1,))
    odd = samples > 4 or bits == 64 or (samples > 1 and bits > 16)
    return not odd and not (samples > 2 and tags.get(PHOTOMETRIC) in GREY)


def has_more(encoded: bytes) -> bool:
    """Whether it has channels that a picture in grey or in colour does not show.

    These are samples that are not said to be transparency, and pages that ImageJ or OME-TIFF call
    channels.
    """
    tags = _tags(encoded)
    extra = _samples(tags) > 1 and 0 in tags.get(EXTRA, ())
    return extra or len(_pages(tags)) > 1 or not is_picture(encoded)


def values(encoded: bytes, channels: int | None = None) -> np.ndarray:
    """The numbers of a TIFF file: (H, W, C). All pages are `channels`, if there are so many.

    Raises `Unreadable` if tifffile is not installed or the image is too large, and any exception of
    tifffile's for a damaged file.
    """
    try:
        import tifffile
    except ImportError as error:
        raise Unreadable(
            "it has many channels, which needs tifffile (pip install tifffile imagecodecs)"
        ) from error
    places = _pages(_tags(encoded))
    with tifffile.TiffFile(BytesIO(encoded)) as file:
        if channels and len(places) == 1 and channels == len(file.pages):
            places = range(channels)
        pages = [file.pages[at] for at in places]
        if sum(page.size for page in pages) > LARGEST:
            raise Unreadable("it has too many pixels")
        planes = [_last(page.asarray(maxworkers=1), page.axes) for page in pages]
    return np.concatenate(planes, 2)


def _last(values: np.ndarray, axes: str) -> np.ndarray:
    """A page's numbers with its samples last: (H, W, S)."""
    if set(axes) - set("YXS"):
        raise Unreadable(f"its axes are {axes}, and only images of two dimensions are read")
    if "S" not in axes:
        return values[:, :, None]
    return np.moveaxis(values, axes.index("S"), 2)


def _tags(encoded: bytes) -> ImageFileDirectory_v2:
    """The tags of the first page. Raises an exception of Pillow's if they are damaged."""
    header = encoded[: 16 if encoded[2] == 43 or encoded[3] == 43 else 8]
    tags = ImageFileDirectory_v2(header)
    file = BytesIO(encoded)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _samples(tags: ImageFileDirectory_v2) -> int:
    return int(tags.get(SAMPLES, 1))


def _pages(tags: ImageFileDirectory_v2) -> range:
    """The places of the first image's channels, as ImageJ and OME-TIFF say; else the first page."""
    text = str(tags.get(DESCRIPTION, ""))
    if text.startswith("ImageJ=") and (found := re.search(r"^channels=(\d{1,4})$", text, re.M)):
        return range(int(found[1]))
    if "<OME" in text and (pixels := re.search(r"<Pixels\b[^>]*>", text)):
        size = {k: int(n) for k, n in re.findall(r'\bSize([CZT])="(\d{1,4})"', pixels[0])}
        order = re.search(r'\bDimensionOrder="XY([CZT]{3})"', pixels[0])
        if order and len(size) == 3 and _samples(tags) == 1:
            step = 1
            for each in order[1].partition("C")[0]:
                step *= size[each]
            return range(0, step * max(1, size["C"]), step)
    return range(1)
