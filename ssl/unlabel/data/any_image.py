"""Encoded images of any number of channels: pictures, arrays, and TIFF files of many channels."""

import re
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

from unlabel.data import arrays, deep_png, tiff
from unlabel.data import decode as picture
from unlabel.data.decode import Limits, Range, Shape, Unreadable, of_each
from unlabel.errors import UserError

PICTURE = (1, 3)  # channels of grey and of colour
SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
BRIGHTEST = re.compile(rb"P[36]" + (SPACE + rb"\d+") * 2 + SPACE + rb"(\d{1,5})\s")  # of a PPM file


class OtherChannels(Unreadable):
    """An image of another number of channels than is wanted."""

    def __init__(self, found: int, wanted: int):
        self.has = f"has {found} channel{'s' * (found > 1)}"
        self.wanted = "be in grey or in colour" if wanted in PICTURE else f"have {wanted}"
        super().__init__(f"it {self.has}, but must {self.wanted}")

    def of(self, name: str) -> UserError:
        """The error for an image of a set, where all must have the same channels."""
        return UserError(
            f"{name} {self.has}, but in this set images must {self.wanted} (channels=auto goes by "
            "the first image); give all the same channels, or put this into a set of its own"
        )


def decode(encoded: bytes, shape: Shape, fit: str = "crop", limits: Range = None) -> np.ndarray:
    """As `unlabel.data.decode.decode`, for any number of channels and of arrays too.

    Arrays, TIFF files of many channels and deep colours are scaled to 8 bits, each channel from its
    own `limits` if these are several, and then resized, each channel alone. Raises `OtherChannels`
    if the image has other channels; grey becomes colour and colour grey.
    """
    if shape[0] in PICTURE and is_picture(encoded):
        return picture.decode(encoded, shape, fit, of_each(limits, 1)[0])
    with picture.explained():
        values, opacity = _seen(encoded, shape[0])
        planes = _planes(_channels(values, shape[0]), limits)
        grey = len(planes) == 1 and tiff.is_tiff(encoded)
        if grey and tiff.is_negative(encoded):  # limits are of the file's numbers
            planes = [255 - plane for plane in planes]
        if opacity is not None:
            planes = [_over_white(plane, opacity) for plane in planes]
        planes = [
            np.asarray(picture.fitted(Image.fromarray(plane), (shape[2], shape[1]), fit))
            for plane in planes
        ]
        return np.stack(_mixed(planes, shape[0]))


def channels(encoded: bytes) -> int | None:
    """How many channels an image has; None for a picture, which can be grey or in colour.

    Raises `Unreadable` if it is not an image of a known format.
    """
    with picture.explained():
        if arrays.is_array(encoded) or (tiff.is_tiff(encoded) and tiff.has_more(encoded)):
            return _values(encoded).shape[2]
    is_grey(encoded)  # raises for what is no picture
    return None


def extent(encoded: bytes) -> Limits | None:
    """As `unlabel.data.decode.extent`, over all channels; also of signed numbers of 8 bits."""
    if is_picture(encoded):
        return picture.extent(encoded)
    with picture.explained():
        values, _ = _seen(encoded)
        return (values.min().item(), values.max().item()) if is_deep(values) else None


def is_deep(values: np.ndarray) -> bool:
    """Whether numbers must be scaled to become uint8."""
    return values.dtype not in (np.bool_, np.uint8)


def values(encoded: bytes, wanted: int) -> np.ndarray:
    """The numbers of an image of many channels, (H, W, C).

    Raises `OtherChannels` unless it has so many, and `Unreadable` if it cannot be decoded.
    """
    with picture.explained():
        return _channels(_values(encoded, wanted), wanted)


def is_grey(encoded: bytes) -> bool:
    """As `unlabel.data.decode.is_grey`; an array is, if it has one channel."""
    if is_picture(encoded):
        return picture.is_grey(encoded)
    with picture.explained():
        return _seen(encoded)[0].shape[2] == 1


def is_picture(encoded: bytes) -> bool:
    """Whether Pillow shows it right, in grey or in colour, as far as its first bytes say.

    Raises `Unreadable` for colours of which nothing here reads more than 8 of their bits.
    """
    if arrays.is_array(encoded) or deep_png.is_one(encoded):
        return False
    if (found := BRIGHTEST.match(encoded)) and int(found[1]) > 255:
        raise Unreadable("PPM is read with 8 bits a colour, and it has more; make it PNG or TIFF")
    with picture.explained():
        return not tiff.is_tiff(encoded) or tiff.is_picture(encoded)


def _values(encoded: bytes, wanted: int | None = None) -> np.ndarray:
    """The numbers of an image, (H, W, C)."""
    if arrays.is_array(encoded):
        return arrays.values(encoded)
    if tiff.is_tiff(encoded):
        return tiff.values(encoded, None if wanted in PICTURE else wanted)
    if deep_png.is_one(encoded):
        return deep_png.values(encoded)
    with picture.opened(encoded) as image:
        if wanted != len(image.getbands()):
            raise OtherChannels(len(image.getbands()), wanted or 0)
        image.load()
        with suppress(Exception):  # as of a picture
            ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image).reshape(image.height, image.width, -1)


def _seen(encoded: bytes, wanted: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """The numbers (H, W, C) that a picture shows, and from 0 to 1 how opaque each pixel is (H, W).

    They are all its numbers if so many are wanted, or it has more than a deep picture.
    """
    values = _values(encoded, wanted)
    found = None
    if deep_png.is_one(encoded):
        found = deep_png.beside(encoded)
    elif tiff.is_tiff(encoded):
        found = tiff.beside(encoded)
    if found is None or wanted == values.shape[2]:
        return values, None
    colours, kind = found
    largest = np.iinfo(values.dtype).max
    values, opacity = values[:, :, :colours], values[:, :, colours] / largest
    if kind == tiff.ASSOCIATED:
        whole = values / np.maximum(opacity, 1 / largest)[:, :, None]
        values = np.rint(whole).clip(0, largest).astype(values.dtype)
    return values, opacity if kind in (tiff.ASSOCIATED, tiff.UNASSOCIATED) else None


def _over_white(plane: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    return np.rint(255 - (255 - plane) * opacity).astype(np.uint8)


def _channels(values: np.ndarray, wanted: int) -> np.ndarray:
    found = values.shape[2]
    if found != wanted and not {found, wanted} <= set(PICTURE):
        raise OtherChannels(found, wanted)
    return values


def _planes(values: np.ndarray, limits: Range) -> list[np.ndarray]:
    """Each channel as uint8 (H, W)."""
    if values.dtype == np.bool_:
        values = values * np.uint8(255)
    if not is_deep(values):
        return [np.ascontiguousarray(plane) for plane in np.moveaxis(values, 2, 0)]
    if limits is None and values.dtype == np.int8:
        raise Unreadable("its pixels are signed, and nobody said which is black or white")
    # From the full range they are rounded. Pillow, which read deep colours before, cuts their low
    # byte off, so they differ by at most 1 from what they were.
    pairs = zip(np.moveaxis(values, 2, 0), of_each(limits, values.shape[2]), strict=True)
    return [picture.scaled(plane, pair) for plane, pair in pairs]


def _mixed(planes: list[np.ndarray], wanted: int) -> list[np.ndarray]:
    """Grey becomes colour as three equal channels, and colour becomes grey as luma."""
    if len(planes) == wanted:
        return planes
    if wanted == 3:
        return planes * 3
    return [np.asarray(Image.fromarray(np.stack(planes, 2)).convert("L"))]
