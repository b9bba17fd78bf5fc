"""The exception for a user's mistake, and what to say when a disk or the memory is full."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)  # to a writer, or to a reader
VARIES = "does not have a deterministic implementation"  # what torch says of an operation on a GPU
MEMORY = ("can't allocate memory", "out of memory")  # what torch says, on a CPU and on a GPU
LESS = (
    "run fewer jobs at once (snakemake --cores 1), free memory, or make the batch smaller "
    "(training.batch, training.chunk, features.batch)"
)


class UserError(Exception):
    """A mistake the user can mend: the message says what is wrong, where, and how to mend it.

    The message is one line that a terminal can show, whatever file names are in it.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))


def printable(text: str) -> str:
    """A text in one line, with escapes for what a terminal would obey or cannot encode."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def reason(error: BaseException) -> str:
    """The first line of an exception's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def damage(what: str, mend: str) -> Iterator[None]:
    """Turn any exception inside, where a file is read, into a `UserError`: what, why, what to do.

    Libraries raise all kinds of exceptions for damaged files. A missing file and too little memory
    are other faults, so those pass through.
    """
    try:
        yield
    except (UserError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{what} ({reason(error)}); {mend}") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest known one, or all of them if none is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"


def of_machine(error: BaseException) -> str:
    """What to say of a full disk, a refused file, short memory or a GPU's bits; else empty."""
    if isinstance(error, OSError) and error.errno in (*FULL, *REFUSED):
        where = error.filename or f"a file in {Path.cwd()}"
        why = os.strerror(error.errno)
        if error.errno in FULL:
            return f"cannot write at {where}: {why}; make room and start again"
        return f"cannot read or write {where}: {why}; permit it and start again"
    short = isinstance(error, RuntimeError) and any(word in str(error) for word in MEMORY)
    if isinstance(error, MemoryError) or short or getattr(error, "errno", None) == errno.ENOMEM:
        said = " ".join(str(error).split())
        return f"memory is short{f' ({said})' if said else ''}; {LESS}, and start again"
    if isinstance(error, RuntimeError) and VARIES in str(error):
        return (
            f"{str(error).split()[0]} gives other bits each time on a GPU, so that a result could "
            "not be had again; choose another encoder, or compute on the CPU "
            "(hardware.device=cpu), and start again"
        )
    return ""
