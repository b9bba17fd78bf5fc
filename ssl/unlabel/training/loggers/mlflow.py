"""Runs of MLflow in files, in one experiment: `mlflow ui --backend-store-uri logs/mlflow`."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from unlabel.files import lock
from unlabel.training.loggers import Logger, Row, numbers

EXPERIMENT = "unlabel"
URI = "MLFLOW_TRACKING_URI"  # of a server that gets the runs instead
FILES = "MLFLOW_ALLOW_FILE_STORE"  # MLflow 3 asks for this, and for a database without it
AT_ONCE = 100  # settings that MLflow takes in one call


class Writer(Logger):
    """Begins afresh: the run of an earlier attempt is deleted."""

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        os.environ.setdefault(FILES, "true")
        folder.mkdir(parents=True, exist_ok=True)
        self.client = MlflowClient(os.environ.get(URI) or folder.absolute().as_uri())
        with lock.acquire(folder.with_suffix(".lock"), f"makes an experiment in {folder}"):
            known = self.client.get_experiment_by_name(EXPERIMENT)
            made = known.experiment_id if known else self.client.create_experiment(EXPERIMENT)
        for each in self.client.search_runs([made], f"attributes.run_name = '{run}'"):
            self.client.delete_run(each.info.run_id)
        self.id = self.client.create_run(made, run_name=run).info.run_id
        params = [Param(key, str(value)) for key, value in dict(_flat(settings)).items()]
        for first in range(0, len(params), AT_ONCE):
            self.client.log_batch(self.id, params=params[first : first + AT_ONCE])

    def add(self, row: Row) -> None:
        now, step = int(time.time() * 1000), int(row["step"])
        metrics = [Metric(name, value, now, step) for name, value in numbers(row).items()]
        self.client.log_batch(self.id, metrics=metrics)

    def close(self, finished: bool) -> None:
        self.client.set_terminated(self.id, "FINISHED" if finished else "KILLED")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by names like `method.temperature`."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
