"""CIFAR's python version: batches that Python 2 has pickled, read with nothing in them called.

A pickle may name any function and have it called. Here two names stand for functions of ours,
which keep what an array is made of, and every other name is refused.
"""

import pickle
from io import BytesIO
from typing import Any

Plain = dict[bytes, Any]


class Refused(Exception):
    """Why bytes are no batch."""


class Array:
    """What a batch has of a NumPy array: its shape, the name of its type, and its bytes."""

    shape: tuple[int, ...] = ()
    type: str = ""
    content: bytes = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.type, _, self.content = state


class Type(str):
    """The name of a NumPy type."""

    def __setstate__(self, state: Any) -> None:
        """The order of its bytes and the like do not matter to single bytes."""


def read(batch: bytes) -> Plain:
    """A batch: numbers, bytes, lists, and arrays as `Array`. Raises `Refused` for all else."""
    try:
        plain = _Reader(BytesIO(batch), encoding="bytes").load()
    except Refused:
        raise
    except Exception as error:  # damaged bytes make it raise anything
        raise Refused(f"it cannot be read ({error})") from error
    if not isinstance(plain, dict):
        raise Refused("it holds no batch")
    return plain


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            "numpy.core.multiarray._reconstruct": _array,
            "numpy.ndarray": None,  # what the former is told to make, which it makes anyway
            "numpy.dtype": _type,
        }
        if f"{module}.{name}" not in known:
            raise Refused(f"it names {module}.{name}, which a batch has no need of")
        return known[f"{module}.{name}"]


def _array(*_: Any) -> Array:
    return Array()


def _type(name: bytes, *_: Any) -> Type:
    return Type(name, "ascii")
