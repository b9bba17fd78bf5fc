"""Images as arrays of numbers: NumPy's .npy files."""

from io import BytesIO

import numpy as np
from numpy.lib import format as npy

from unlabel.data.decode import Unreadable

MAGIC = npy.MAGIC_PREFIX
READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def is_array(encoded: bytes) -> bool:
    return encoded.startswith(MAGIC)


def values(encoded: bytes) -> np.ndarray:
    """The numbers of a .npy file, (H, W) or (H, W, C) -> (H, W, C). Nothing in it is run.

    Raises `Unreadable` for another shape and for Python's objects, and `ValueError` for a damaged
    file.
    """
    file = BytesIO(encoded)
    read = READERS.get(npy.read_magic(file))
    if read is None:
        raise Unreadable("its numbers have names")
    shape, fortran, kind = read(file)
    if kind.kind not in "biuf":
        raise Unreadable(f"it has {kind} in it, and not real numbers")
    if len(shape) not in (2, 3) or 0 in shape:
        raise Unreadable(f"its shape is {shape}, and not (height, width, channels)")
    if len(shape) == 3 and shape[0] < min(shape[1:]):
        raise Unreadable(
            f"its shape is {shape}, with the channels first; save it as (height, width, channels)"
        )
    count = int(np.prod(shape, dtype=object))
    flat = np.frombuffer(encoded, kind, count, file.tell())  # makes no room for what is not there
    found = flat.reshape(shape, order="F" if fortran else "C")
    return found.reshape(*shape[:2], -1)
