"""Files that would run code, were they loaded without care."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np


class Call:
    """Pickles as a call."""

    def __init__(self, function: Callable, *arguments: object):
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def hostile(marker: Path) -> dict[str, bytes]:
    touch = f"touch {marker}"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    return {
        "a call": pickle.dumps({"data": Call(os.system, touch)}, protocol=2),
        "a call in today's protocol": pickle.dumps({b"data": Call(os.system, touch)}),
        "a call in protocol 0": pickle.dumps(Call(os.system, touch), protocol=0),
        "eval": pickle.dumps([Call(eval, code)], protocol=2),
        "an instance": f"(S'{touch}'\nios\nsystem\n.".encode(),
        "an object": b"(cos\nsystem\n" + f"S'{touch}'\no.".encode(),
        "a codec": pickle.dumps(Call(__import__("codecs").encode, "x", "rot13"), protocol=2),
        "a name within a name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
        "numpy's loader": pickle.dumps(Call(np.load, str(marker))),
        "an extension": b"\x80\x02\x82\x01.",
        "a persistent name": b"Pos.system\n.",
        "a list": pickle.dumps([1, 2]),
        "objects in an array": pickle.dumps({b"data": np.array([Call(os.system, touch)])}, 2),
        "nothing": b"",
        "a huge memo": b"\x80\x02}r\xff\xff\xff\xff.",
        "a memo that memory could just hold": b"\x80\x02}r\xff\xff\xff\x0f.",
        "a huge array of bytes": b"\x80\x05\x96\0\0\0\x80\x02\0\0\0.",
        "a huge string": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    }
