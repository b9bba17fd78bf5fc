"""CIFAR's python version: batches that Python 2 has pickled, read with nothing in them called.

A pickle may name any function and have it called. Here two names stand for functions of ours,
which keep what an array is made of, and every other name is refused. So is, before anything is
read, what Python 2 did not write: some of it would have memory taken of any size.
"""

import pickle
from io import BytesIO
from pickletools import genops
from typing import Any

Plain = dict[bytes, Any]

# What Python 2 wrote of numbers, texts, lists, dictionaries and arrays.
CODES = frozenset(
    {
        *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "GLOBAL", "REDUCE", "BUILD"),
        *("BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"),
    }
)


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
        _check(batch)
        plain = _Reader(BytesIO(batch), encoding="bytes").load()
    except Refused:
        raise
    except Exception as error:  # damaged bytes make it raise anything
        raise Refused(f"it cannot be read ({error})") from error
    if not isinstance(plain, dict):
        raise Refused("it holds no batch")
    return plain


def _check(batch: bytes) -> None:
    """Raise `Refused` for what Python 2 did not write."""
    for at, (code, argument, _) in enumerate(genops(batch)):
        if code.name not in CODES:
            raise Refused(f"it has {code.name}, which a batch has no need of")
        if code.name == "LONG_BINPUT" and int(argument or 0) > at:  # what is kept is counted from 0
            raise Refused(f"it keeps value {argument}, but has no so many")


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
