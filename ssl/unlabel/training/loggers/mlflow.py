"""Runs of MLflow, by default in files: `mlflow ui --backend-store-uri logs/mlflow`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from unlabel.training.loggers import Logger, Row, numbers

EXPERIMENT = "unlabel"


class Writer(Logger):
    """Goes on with a run that has not finished, and adds to it what is missing.

    MLFLOW_TRACKING_URI names another place, such as a server.
    """

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any], resumed: bool):
        place = os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri()
        self.client = MlflowClient(place)
        known = self.client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else self.client.create_experiment(EXPERIMENT)
        unfinished = self._unfinished(experiment, run)
        if not resumed:
            for each in unfinished:
                self.client.delete_run(each.info.run_id)
            unfinished = []
        if unfinished:
            self.id = unfinished[0].info.run_id
        else:
            self.id = self.client.create_run(experiment, run_name=run).info.run_id
            self.client.log_dict(self.id, dict(settings), "params.yaml")
        names = self.client.get_run(self.id).data.metrics
        self.there = {
            (name, each.step)
            for name in names
            for each in self.client.get_metric_history(self.id, name)
        }

    def _unfinished(self, experiment: str, run: str) -> list[Run]:
        wanted = f"attributes.run_name = '{run}' and attributes.status = 'RUNNING'"
        return list(self.client.search_runs([experiment], wanted))

    def add(self, row: Row) -> None:
        step = int(row["step"])
        for name, value in numbers(row).items():
            if (name, step) not in self.there:
                self.client.log_metric(self.id, name, value, step=step)

    def close(self, finished: bool) -> None:
        if finished:
            self.client.set_terminated(self.id)
