"""DVCLive's tables, one folder for each run; `dvc plots show FILE...` draws them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvclive import Live

from unlabel.training.loggers import Logger, Row, numbers


class Writer(Logger):
    """Begins afresh, as DVCLive does unless it is told to resume.

    It makes no experiment of DVC and no dvc.yaml: those of the repository are about results.
    """

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        self.live = Live(
            str(folder / run), report=None, save_dvc_exp=False, dvcyaml=None, monitor_system=False
        )
        self.live.log_params({"run": run, **settings})

    def add(self, row: Row) -> None:
        self.live.step = int(row["step"])
        for name, value in numbers(row).items():
            self.live.log_metric(name, value)
        self.live.make_summary()

    def close(self, finished: bool) -> None:
        self.live.end()
