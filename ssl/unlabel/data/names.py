"""Names of files and classes, as a message shows them."""

import os
from collections.abc import Iterable

FEW = 3  # names that a sentence lists


def as_text(name: str | os.PathLike[str]) -> str:
    """A file's name as text that can be written down, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def few(names: Iterable[str], number: int = FEW) -> str:
    """The first names, and dots if there are more."""
    every = list(names)
    return ", ".join(every[:number]) + (", ..." if len(every) > number else "")
