"""Find outputs and records that were changed after Snakemake wrote them.

Snakemake compares times, and what an output was made from. It reads an input only if its time has
changed. It never asks whether an output is still the file that was made: it would measure damaged
features and report the numbers. So each record has the sha256 of its output, taken as its job
ended, and the file's size and time, which tell when to read it again.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.workflow.engine import records
from unlabel.workflow.engine.corrections import Corrections, Record, running
from unlabel.workflow.engine.records import OTHER, RECORDS

NO_CHECKSUM = (".json", ".yaml")  # small files that do not show that they are damaged


def written(path: Path) -> dict[str, Any]:
    """What a record says of the file that its job wrote."""
    return {"sha256": files.sha256(path), **_look(path)}


def correct(found: Corrections) -> None:
    """Add to `found`: altered outputs, to be made again, and outputs with a time in the future.

    An output is altered if it is not the file that its job wrote. A file with a checksum of its own
    is read only if its size or time has changed. A damaged record is removed, and its output is
    made again.
    """
    now = time.time()
    for target, record in list(_readable(found)):
        path = Path(target)
        if running([target]) or not path.is_file():
            continue  # a job is at work, or Snakemake makes it anyway
        if "sha256" in record and target not in found.records:
            _judge(found, target, record)
        if path.stat().st_mtime > now and target not in found.times:
            found.times[target] = min(now, float(record.get("endtime") or now))


def _judge(found: Corrections, target: str, record: Record) -> None:
    path = Path(target)
    touched = _look(path) != {key: record.get(key) for key in ("size", "time")}
    if not touched and path.suffix not in NO_CHECKSUM:
        return
    now = written(path)
    if now["sha256"] != record["sha256"]:
        found.records[target] = record | OTHER
        print(f"{target} was changed after it was made; it is made again", file=sys.stderr)
    elif touched:
        found.records[target] = record | now  # so that it is not read again each time


def _readable(found: Corrections) -> Iterator[tuple[str, Record]]:
    """Each output's record; a damaged one is to be removed, as Snakemake would fail to read it."""
    for target, record in found.records.items():
        if record is not None:
            yield target, record
    for target, place in list(records.read(RECORDS)):
        if target in found.records:
            continue
        try:
            content = json.loads(place.read_text())
            if not isinstance(content["rule"], str) or not isinstance(content["params"], list):
                raise ValueError("no record")
            yield target, content
        except (ValueError, KeyError, TypeError):
            if not running([target]):  # otherwise it may be being written
                found.records[target] = None
                print(f"the record of {target} is damaged; it is made again", file=sys.stderr)


def _look(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "time": found.st_mtime_ns}
