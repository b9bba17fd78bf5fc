"""Encoded images of any number of channels: pictures, arrays, and TIFF files of many channels."""

from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

from unlabel.data import arrays, tiff
from unlabel.data import decode as picture
from unlabel.data.decode import Limits, Range, Shape, Unreadable, of_each
from unlabel.errors import UserError

PICTURE = (1, 3)  # channels of grey and of colour


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

    Arrays and TIFF files of many channels are scaled to 8 bits, each channel from its own `limits`
    if these are several, and then resized, each channel alone. Raises `OtherChannels` if the
    image has other channels; grey becomes colour and colour grey.
    """
    if shape[0] in PICTURE and is_picture(encoded):
        return picture.decode(encoded, shape, fit, of_each(limits, 1)[0])
    with picture.explained():
        values = _channels(_values(encoded, shape[0]), shape[0])
        planes = [
            np.asarray(picture.fitted(Image.fromarray(plane), (shape[2], shape[1]), fit))
            for plane in _planes(values, limits)
        ]
        return np.stack(_mixed(planes, shape[0]))


def channels(encoded: bytes) -> int | None:
    """How many channels an image has; None for a picture, which can be grey or in colour.

    Raises `Unreadable` if it is not an image of a known format.
    """
    with picture.explained():
        if arrays.is_array(encoded) or (tiff.is_tiff(encoded) and tiff.has_more(encoded)):
            return _values(encoded).shape[2]
    picture.is_grey(encoded)  # raises for what is no picture
    return None


def extent(encoded: bytes) -> Limits | None:
    """As `unlabel.data.decode.extent`, over all channels."""
    if is_picture(encoded):
        return picture.extent(encoded)
    with picture.explained():
        values = _values(encoded)
        return None if values.dtype.itemsize == 1 else (values.min().item(), values.max().item())


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
        return _values(encoded).shape[2] == 1


def is_picture(encoded: bytes) -> bool:
    """Whether Pillow can show it, in grey or in colour, as far as its first bytes say."""
    if arrays.is_array(encoded):
        return False
    with picture.explained():
        return not tiff.is_tiff(encoded) or tiff.is_picture(encoded)


def _values(encoded: bytes, wanted: int | None = None) -> np.ndarray:
    """The numbers of an image, (H, W, C)."""
    if arrays.is_array(encoded):
        return arrays.values(encoded)
    if tiff.is_tiff(encoded):
        return tiff.values(encoded, wanted)
    with picture.opened(encoded) as image:
        if wanted != len(image.getbands()):
            raise OtherChannels(len(image.getbands()), wanted or 0)
        image.load()
        with suppress(Exception):  # as of a picture
            ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image).reshape(image.height, image.width, -1)


def _channels(values: np.ndarray, wanted: int) -> np.ndarray:
    found = values.shape[2]
    if found != wanted and not {found, wanted} <= set(PICTURE):
        raise OtherChannels(found, wanted)
    return values


def _planes(values: np.ndarray, limits: Range) -> list[np.ndarray]:
    """Each channel as uint8 (H, W)."""
    if values.dtype == np.bool_:
        values = values * np.uint8(255)
    if values.dtype == np.uint8:
        return [np.ascontiguousarray(plane) for plane in np.moveaxis(values, 2, 0)]
    pairs = zip(np.moveaxis(values, 2, 0), of_each(limits, values.shape[2]), strict=True)
    return [picture.scaled(plane, pair) for plane, pair in pairs]


def _mixed(planes: list[np.ndarray], wanted: int) -> list[np.ndarray]:
    """Grey becomes colour as three equal channels, and colour becomes grey as luma."""
    if len(planes) == wanted:
        return planes
    if wanted == 3:
        return planes * 3
    return [np.asarray(Image.fromarray(np.stack(planes, 2)).convert("L"))]
