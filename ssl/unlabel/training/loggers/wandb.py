"""Runs of Weights & Biases, offline: `wandb sync logs/wandb/wandb/offline-run-*` sends them."""

import json
import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import wandb

from unlabel.training.loggers import Logger, Row, numbers

PROJECT = "unlabel"


class Writer(Logger):
    """Offline, it begins afresh: the folders of an earlier attempt go.

    WANDB_MODE=online sends at once. What the server has stays there: a training that goes on adds
    what is missing, and one with other settings or other code is a new run of the same name.
    """

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        wandb.finish()  # else `init` would return a run that this process has left open
        path = _hashed(run)[:12]
        for each in (folder / "wandb").glob(f"offline-run-*-{path}*"):
            shutil.rmtree(each)
        folder.mkdir(parents=True, exist_ok=True)
        mode = os.environ.get("WANDB_MODE", "offline")
        self.run = wandb.init(
            project=PROJECT,
            name=run,
            id=path + _hashed(settings)[:8],
            dir=str(folder),
            config=dict(settings),
            mode=mode,
            resume="allow" if mode == "online" else None,  # what is offline cannot be resumed
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    def add(self, row: Row) -> None:
        if row["step"] >= self.run.starting_step:  # the server has those before
            self.run.log(numbers(row), step=int(row["step"]))

    def close(self, finished: bool) -> None:
        self.run.finish()


def _hashed(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
