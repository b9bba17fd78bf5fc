"""The interface of all loggers: programs that get a training's log while it grows.

Each other file in this folder is one. Its name is that of a library, and of the extra that brings
it. The class `Writer` there is a `Logger`. No result depends on them.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, did_you_mean

Row = Mapping[str, float]
NAMES = sorted(file.stem for file in Path(__file__).parent.glob("[!_.]*.py"))


class Logger:
    """Gets each row of a log once, in order.

    A training that goes on after a kill opens it anew and hands it all rows from the start. So it
    begins afresh, and there is no gap and nothing twice.
    """

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        raise NotImplementedError

    def add(self, row: Row) -> None:
        """Write the numbers of a row, which has its `step`."""
        raise NotImplementedError

    def close(self, finished: bool) -> None:
        """Write what is not written yet; the training is `finished`, or stops before its end."""
        raise NotImplementedError


def check(name: str) -> None:
    """Raise `UserError` unless there is such a logger, and its library is installed."""
    if name not in NAMES:
        raise UserError(f"monitor.loggers names {name!r}; {did_you_mean(name, NAMES)}")
    if find_spec(name) is None:
        raise UserError(
            f"monitor.loggers names {name}, which is not installed; install it with "
            f"pip install -e '.[{name}]'"
        )


def opened(name: str, folder: Path, run: str, settings: Mapping[str, Any]) -> Logger:
    """A logger that writes to `folder/name`. Raises `UserError` as `check` does."""
    check(name)
    writer: type[Logger] = import_module(f"{__name__}.{name}").Writer
    return writer(folder / name, run, settings)


def numbers(row: Row) -> dict[str, float]:
    """What a logger shows of a row: all but its step."""
    return {name: float(value) for name, value in row.items() if name != "step"}
