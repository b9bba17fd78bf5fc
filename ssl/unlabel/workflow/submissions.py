"""What a workflow has other machines make, so that the next one knows what nobody saw the end of.

Snakemake marks the outputs of jobs that run and records those of jobs that it has seen end. A job
on another machine that ends when Snakemake is gone takes off its mark itself, and leaves no record:
its outputs would be taken for good, of whatever settings they are.
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
from unlabel.workflow.engine.provenance import RECORDS

FOLDER = FROZEN / "submitted"  # a file for each Snakemake


def note(workflow: Any) -> None:
    """Write down what jobs of Snakemake's `workflow` will make, before the first is submitted."""
    outputs = [str(output) for job in workflow.dag.needrun_jobs() for output in job.output]
    path = FOLDER / f"{platform.node()}-{os.getpid()}.json"
    files.write_json(path, {"executor": workflow.executor_plugin.name, "outputs": outputs})


def to(executor: str) -> bool:
    """Has a Snakemake submitted jobs to a kind of cluster, and nobody looked after them since?"""
    return any(_read(path)["executor"] == executor for path in FOLDER.glob("*.json"))


def unseen() -> Iterator[Path]:
    """The outputs that were made since they were noted, and of which no Snakemake has a record."""
    for path in sorted(FOLDER.glob("*.json")):
        noted = path.stat().st_mtime
        for target in _read(path)["outputs"]:
            output, record = Path(target), records.place(RECORDS, target)
            if _written(output) >= noted > _written(record):
                yield output


def forget() -> None:
    """No longer know of what was noted, as it has been looked after."""
    for path in FOLDER.glob("*.json"):
        path.unlink()


def _read(path: Path) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return noted


def _written(path: Path) -> float:
    """When, in seconds; 0 if it is not there."""
    return path.stat().st_mtime if path.exists() else 0.0
