"""The one exception a user's mistake raises."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class UserError(Exception):
    """A mistake its reader can mend: the message says what is wrong, where, and how to mend it.

    It is one line that a terminal can show, whatever names of files are in it.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))


def printable(text: str) -> str:
    """A text in one line, without what a terminal would obey or no encoding can write."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def reason(error: BaseException) -> str:
    """The first line of what an exception says; its kind, where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def damage(what: str, mend: str) -> Iterator[None]:
    """Let all that is raised while a file is read be a `UserError`: what is wrong, why, what to do.

    There is no exception that no damaged file makes a library raise. That a file is missing is said
    elsewhere, and what memory there is says nothing of the file.
    """
    try:
        yield
    except (UserError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{what} ({reason(error)}); {mend}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest right one, or all where none is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"
