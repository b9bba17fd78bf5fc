"""The one exception a user's mistake raises, and what to say of a disk or memory that is full."""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
MEMORY = ("can't allocate memory", "out of memory")  # torch's words, on a CPU and on a GPU
LESS = (
    "run fewer jobs at once (snakemake --cores 1), free memory, or make the batch smaller "
    "(training.batch, training.chunk, features.batch)"
)


class UserError(Exception):
    """A mistake its reader can mend: the message says what is wrong, where, and how to mend it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest right one, or all where none is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"


def of_machine(error: BaseException) -> str:
    """What to say where a disk is full or may not be written, or memory is short; else nothing."""
    if isinstance(error, OSError) and error.errno in DISK:
        where = error.filename or f"a file in {Path.cwd()}"
        why = os.strerror(error.errno)
        return f"cannot write at {where}: {why}; make room or permit it, start again"
    short = isinstance(error, RuntimeError) and any(word in str(error) for word in MEMORY)
    if isinstance(error, MemoryError) or short or getattr(error, "errno", None) == errno.ENOMEM:
        said = " ".join(str(error).split())
        return f"memory is short{f' ({said})' if said else ''}; {LESS}, and start again"
    return ""
