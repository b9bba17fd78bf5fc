"""Encoded arrays: NumPy and TIFF files of any number of channels."""

from io import BytesIO

import numpy as np
import tifffile


def npy(values: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def tif(values: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", **options})
    return file.getvalue()


def bands(count: int, kind: type = np.uint16) -> np.ndarray:
    """Channel c is 10 c + 10 above, and twice that below: (8, 8, C)."""
    values = np.empty((8, 8, count), kind)
    values[:4], values[4:] = 10 * np.arange(1, count + 1), 20 * np.arange(1, count + 1)
    return values


def first(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))
