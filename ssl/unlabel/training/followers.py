"""Those who follow a training while it runs: `unlabel watch`, by a small file, and loggers."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError, reason
from unlabel.progress import Progress, note
from unlabel.training.log import Log

STATUS = "status.json"  # beside the training's state
SECONDS = 1.0  # at least, between two writes of it


class Followers:
    """Tells a file in `folder` how far a training is, and loggers each row of its log.

    A logger that fails is told no more, and the training goes on.
    """

    def __init__(self, run: str, folder: Path, log: Log, progress: Progress):
        self.run, self.path, self.log, self.progress = run, folder / STATUS, log, progress
        self.loggers: dict[str, Any] = {}
        self.told, self.said = 0, -SECONDS

    def open(self, names: Sequence[str], logs: Path, settings: Mapping[str, Any]) -> None:
        """Start loggers that write into `logs`. Raises `UserError` if one is not installed."""
        if not names:
            return
        # By a name that does not count in fingerprints: no result depends on loggers.
        loggers = import_module("unlabel.training.loggers")
        for name in names:
            start = lambda: loggers.opened(name, logs, self.run, settings)  # noqa: E731, B023
            if opened := self._try(name, start):
                self.loggers[name] = opened

    def tell(self, step: int) -> None:
        """Tell what is new after a step."""
        for row in self.log.rows[self.told :]:
            for name, logger in list(self.loggers.items()):
                self._try(name, lambda: logger.add(row))  # noqa: B023
        self.told = len(self.log.rows)
        if time.monotonic() - self.said < SECONDS:
            return
        status = {
            "run": self.run,
            "epoch": self.log.epochs * step / max(1, self.log.steps),
            "epochs": self.log.epochs,
            "images_per_second": self.progress.rate,
            "seconds_left": self.progress.left,
            **self.log.last(),
        }
        with suppress(OSError):  # `unlabel watch` can wait for the next one
            files.write_json(self.path, status, durable=False)
        self.said = time.monotonic()

    def close(self, finished: bool) -> None:
        """The training has `finished`, or stops before its end."""
        for name, logger in list(self.loggers.items()):
            self._try(name, lambda: logger.close(finished))  # noqa: B023

    def _try(self, name: str, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except UserError:
            raise
        except Exception as error:  # of a library, a disk or a server: all kinds
            self.loggers.pop(name, None)
            note(f"{self.run}: {name} failed ({reason(error)}); the training goes on without it")
        return None
