"""Read the batches of CIFAR's python version, pickled by Python 2, without running their code.

A pickle may name any function and have it called. Here two names stand for functions of our own,
which only keep what an array is made of; every other name is refused. Codes that Python 2 did not
write are refused before anything is read, as some of them could take any amount of memory.
"""

import pickle
from io import BytesIO
from pickletools import genops
from typing import Any

Plain = dict[bytes, Any]

# The codes that Python 2 wrote for numbers, texts, lists, dictionaries and arrays.
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
    """Why some bytes are not a batch."""


class Array:
    """A pickled NumPy array: its shape, the name of its type, and its bytes."""

    shape: tuple[int, ...] = ()
    type: str = ""
    content: bytes = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.type, _, self.content = state


class Type(str):
    """The name of a NumPy type."""

    def __setstate__(self, state: Any) -> None:
        """Ignore the byte order and the like: single bytes have none."""


def read(batch: bytes) -> Plain:
    """A batch: numbers, bytes, lists, and arrays as `Array`. Raises `Refused` for anything else."""
    try:
        _check(batch)
        plain = _Reader(BytesIO(batch), encoding="bytes").load()
    except Refused:
        raise
    except Exception as error:  # damaged bytes can raise any exception
        raise Refused(f"it cannot be read ({error})") from error
    if not isinstance(plain, dict):
        raise Refused("it does not hold a batch")
    return plain


def _check(batch: bytes) -> None:
    """Raise `Refused` for codes that Python 2 did not write."""
    for at, (code, argument, _) in enumerate(genops(batch)):
        if code.name not in CODES:
            raise Refused(f"it has {code.name}, which a batch does not need")
        if code.name == "LONG_BINPUT" and int(argument or 0) > at:  # values are numbered from 0
            raise Refused(f"it keeps value {argument}, but does not have that many")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            "numpy.core.multiarray._reconstruct": _array,
            "numpy.ndarray": None,  # an argument of the former, which makes one anyway
            "numpy.dtype": _type,
        }
        if f"{module}.{name}" not in known:
            raise Refused(f"it names {module}.{name}, which a batch does not need")
        return known[f"{module}.{name}"]


def _array(*_: Any) -> Array:
    return Array()


def _type(name: bytes, *_: Any) -> Type:
    return Type(name, "ascii")
