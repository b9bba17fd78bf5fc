"""Runs of Weights & Biases, offline: `wandb sync logs/wandb/wandb/offline-run-*` sends them."""

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
    """Begins afresh: the folders of an earlier attempt go. WANDB_MODE=online sends at once."""

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        id = sha256(run.encode()).hexdigest()[:12]
        for path in (folder / "wandb").glob(f"offline-run-*-{id}"):
            shutil.rmtree(path)
        folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=PROJECT,
            name=run,
            id=id,
            dir=str(folder),
            config=dict(settings),
            mode=os.environ.get("WANDB_MODE", "offline"),
            resume="allow",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    def add(self, row: Row) -> None:
        self.run.log(numbers(row), step=int(row["step"]))

    def close(self, finished: bool) -> None:
        self.run.finish()
