"""The one exception a user's mistake raises."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake its reader can mend: the message says what is wrong, where, and how to mend it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest right one, or all where none is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"
