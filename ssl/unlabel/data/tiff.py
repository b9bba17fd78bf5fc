"""TIFF files that Pillow does not show right, as those of many channels.

Their numbers are read by tifffile, the extra `tiff`.
"""

import logging
import re
from io import BytesIO

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from unlabel.data.decode import Unreadable

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF's
BITS, PHOTOMETRIC, DESCRIPTION, ORIENTATION, SAMPLES = 258, 262, 270, 274, 277
PLANES, EXTRA, FORMAT = 284, 338, 339
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5  # photometric interpretations
GREY = (WHITE_IS_ZERO, BLACK_IS_ZERO)
TOGETHER = 1  # where the samples of a pixel lie, and not in planes
ASSOCIATED, UNASSOCIATED = 1, 2  # transparency: colours are multiplied by it, or not
UNSIGNED, SIGNED = 1, 2
LARGEST = 1 << 30  # numbers of an image

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong raises too


def is_tiff(encoded: bytes) -> bool:
    return encoded[:4] in MAGIC


def is_picture(encoded: bytes) -> bool:
    """Whether Pillow shows it right, in grey or in colour."""
    tags = _tags(encoded)
    samples, bits, kind = _samples(tags), _bits(tags), _kind(tags)
    photometric = tags.get(PHOTOMETRIC)
    if samples > 4 or bits == 64 or (samples > 2 and photometric in GREY):
        return False
    if bits <= 8:
        return kind != SIGNED and not _is_unknown_to_pillow(tags)
    if samples > 1:  # Pillow shows 8 bits of 16, and takes a plane of 16 for two of 8
        return bits == 16 and photometric == CMYK and tags.get(PLANES, TOGETHER) == TOGETHER
    # Pillow shows deep pixels as if 0 were black, and 2 ** 31 as if it were negative.
    return photometric != WHITE_IS_ZERO and not (bits == 32 and kind == UNSIGNED)


def has_more(encoded: bytes) -> bool:
    """Whether it has channels that a picture in grey or in colour does not show.

    These are samples that are not said to be transparency, and pages that ImageJ or OME-TIFF call
    channels.
    """
    tags = _tags(encoded)
    extra = _samples(tags) > 1 and 0 in tags.get(EXTRA, ())
    return extra or len(_pages(tags)) > 1 or not (is_picture(encoded) or beside(encoded))


def is_negative(encoded: bytes) -> bool:
    """Whether the smallest number of its grey is white."""
    return _tags(encoded).get(PHOTOMETRIC) == WHITE_IS_ZERO


def beside(encoded: bytes) -> tuple[int, int] | None:
    """How many samples are a picture's grey or colours, and what the one beside them is.

    That is `ASSOCIATED` or `UNASSOCIATED` transparency, or 0, which is anything. None if there is
    no such sample.
    """
    tags = _tags(encoded)
    picture = (tags.get(PHOTOMETRIC), _samples(tags))
    if _bits(tags) in (8, 16) and _kind(tags) == UNSIGNED:
        if picture == (RGB, 4):
            return 3, (tags.get(EXTRA) or (UNASSOCIATED,))[0]  # Pillow too guesses so
        if picture in [(grey, 2) for grey in GREY] and max(tags.get(EXTRA) or (0,)):
            return 1, tags[EXTRA][0]
    return None


def values(encoded: bytes, channels: int | None = None) -> np.ndarray:
    """The numbers of a TIFF file, upright: (H, W, C). All pages are `channels`, if so many.

    Raises `Unreadable` if tifffile is not installed or the image is too large, and any exception of
    tifffile's for a damaged file.
    """
    try:
        import tifffile
    except ImportError as error:
        raise Unreadable(
            "it has many channels or deep pixels, which needs tifffile "
            "(pip install tifffile imagecodecs)"
        ) from error
    tags = _tags(encoded)
    places = _pages(tags)
    with tifffile.TiffFile(BytesIO(encoded)) as file:
        if channels and len(places) == 1 and channels == len(file.pages):
            places = range(channels)
        pages = [file.pages[at] for at in places]
        if sum(page.size for page in pages) > LARGEST:
            raise Unreadable("it has too many pixels")
        planes = [_last(page.asarray(maxworkers=1), page.axes) for page in pages]
    return _upright(np.concatenate(planes, 2), tags.get(ORIENTATION, 1))


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """An image (H, W, C) turned and mirrored as its tag says, which counts as in EXIF."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values


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


def _is_unknown_to_pillow(tags: ImageFileDirectory_v2) -> bool:
    """Whether Pillow cannot show grey or colours of 8 bits with a sample beside them."""
    apart, extra = tags.get(PLANES, TOGETHER) != TOGETHER, max(tags.get(EXTRA) or (0,))
    if _samples(tags) == 2:
        return apart or extra == ASSOCIATED or tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    rgb = (_samples(tags), tags.get(PHOTOMETRIC)) == (4, RGB)
    return rgb and apart and extra != UNASSOCIATED


def _samples(tags: ImageFileDirectory_v2) -> int:
    return int(tags.get(SAMPLES, 1))


def _bits(tags: ImageFileDirectory_v2) -> int:
    return int(max(tags.get(BITS) or (1,)))


def _kind(tags: ImageFileDirectory_v2) -> int:
    return int(max(tags.get(FORMAT) or (UNSIGNED,)))


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
