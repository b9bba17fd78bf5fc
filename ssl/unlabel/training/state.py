"""A training's state on the disk, saved again and again while the training goes on."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from unlabel.training import checkpoint
from unlabel.training.log import Log

SECONDS = float(os.environ.get("UNLABEL_CHECKPOINT_SECONDS", "10"))  # at least, between two
SHARE = 0.02  # at most, of the time that saving takes


class State:
    """The state of one training in its folder, and the seconds that the training has taken."""

    def __init__(
        self,
        folder: Path,
        method: nn.Module,
        optimizers: Sequence[Optimizer],
        identity: dict[str, Any],
    ):
        self._path = folder / "state.safetensors"
        self._parts = (method, optimizers)
        self._identity = identity
        self._before = 0.0  # seconds, until the training was last stopped
        self.start_clock()

    def resume(self, log: Log) -> int:
        """Take up what was saved, or start the log -> the steps done.

        What was saved before the run's images changed is left. Raises `UserError` if the state is
        damaged, or another run's.
        """
        run = self._identity["settings"]["run"]
        if not self._path.exists():
            log.start()
            return 0
        if checkpoint.of_other_images(self._path, self._identity):
            print(f"{run}: the images are no longer the same; starting again", file=sys.stderr)
            log.start()
            return 0
        about = checkpoint.load(self._path, *self._parts, self._identity)
        log.resume(about)
        self._before = about["seconds"]
        step: int = about["step"]
        print(f"{run}: going on after step {step} of {log.steps}", file=sys.stderr)
        return step

    def start_clock(self) -> None:
        """The steps begin now."""
        self._began = self._saved = time.monotonic()
        self._wait = SECONDS

    @property
    def seconds(self) -> float:
        """What the training has taken, whatever the number of stops."""
        return self._before + time.monotonic() - self._began

    def due(self) -> bool:
        """Is it time to save again?"""
        return time.monotonic() - self._saved > self._wait

    def save(self, step: int, log: Log) -> None:
        """Save the state after a step."""
        before = time.monotonic()
        about = {"identity": self._identity, "step": step, "seconds": self.seconds}
        checkpoint.save(self._path, *self._parts, log.state(step) | about)
        self._saved = time.monotonic()
        self._wait = max(SECONDS, (self._saved - before) / SHARE)
