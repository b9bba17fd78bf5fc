"""What jobs on other machines are to make, so that the next Snakemake knows which it never saw end.

Snakemake marks the outputs of jobs that run, and records those of jobs that it has seen end. A job
on another machine that ends when its Snakemake is gone removes the marks itself and leaves no
record: its outputs would be taken as current for ever, whatever settings they were made with.
"""

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.files import FROZEN
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS

FOLDER = FROZEN / "submitted"  # one file for each Snakemake


def note(workflow: Any) -> None:
    """Write down what jobs of Snakemake's `workflow` will make, before the first is submitted."""
    outputs = [str(output) for job in workflow.dag.needrun_jobs() for output in job.output]
    path = FOLDER / f"{platform.node()}-{os.getpid()}.json"
    files.write_json(path, {"executor": workflow.executor_plugin.name, "outputs": outputs})


def submitted_to(executor: str) -> bool:
    """May jobs that were submitted to a kind of cluster still be there?"""
    return any(_read(path)["executor"] == executor for path in FOLDER.glob("*.json"))


def unrecorded() -> Iterator[str]:
    """The outputs that were made since they were noted, but that no Snakemake has recorded."""
    for path in sorted(FOLDER.glob("*.json")):
        noted = path.stat().st_mtime
        for target in _read(path)["outputs"]:
            if _written(Path(target)) >= noted > _written(records.place(RECORDS, target)):
                yield target


def forget() -> None:
    """Remove the notes, once they have been acted on."""
    for path in FOLDER.glob("*.json"):
        path.unlink()


def _read(path: Path) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return noted


def _written(path: Path) -> float:
    """In seconds since 1970; 0 if the file is not there."""
    return path.stat().st_mtime if path.exists() else 0.0
