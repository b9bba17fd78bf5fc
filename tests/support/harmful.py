"""Files that would run code, were they loaded without care."""

from collections.abc import Callable


class Call:
    """Pickles as a call."""

    def __init__(self, function: Callable, *arguments: object):
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call
