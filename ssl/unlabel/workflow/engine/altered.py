"""Find outputs and records that were changed after Snakemake wrote them.

Snakemake compares times, and what an output was made from. It reads an input only if its time has
changed. It never asks whether an output is still the file that was made: it would measure damaged
features and report the numbers.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unlabel.workflow.engine import records
from unlabel.workflow.engine.corrections import Corrections, Record, running
from unlabel.workflow.engine.provenance import OTHER
from unlabel.workflow.engine.records import RECORDS

NO_CHECKSUM = (".json", ".yaml")  # small files that do not show that they are damaged


def correct(found: Corrections) -> None:
    """Add to `found`: altered outputs, to be made again, and outputs with a time in the future.

    An output is altered if it is not what any job has read. A file with a checksum of its own is
    read only if it is newer than its record. A damaged record is removed, and its output is made
    again.
    """
    known = dict(_readable(found))
    read = _read_by_jobs(known)
    now = time.time()
    for target, record in known.items():
        path = Path(target)
        if running([target]) or not path.is_file():
            continue  # a job is at work, or Snakemake makes it anyway
        written = path.stat().st_mtime
        if target in read and target not in found.records:
            newer = written > records.place(RECORDS, target).stat().st_mtime
            if newer or path.suffix in NO_CHECKSUM:
                _judge(found, target, record, read[target], newer)
        if written > now and target not in found.times:
            found.times[target] = min(now, float(record.get("endtime") or now))


def _judge(found: Corrections, target: str, record: Record, read: set[str], newer: bool) -> None:
    if _digest(Path(target)) not in read:
        found.records[target] = record | OTHER
        print(f"{target} was changed after it was made; it is made again", file=sys.stderr)
    elif newer:
        found.unchanged.add(target)  # so that it is not read again each time


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


def _read_by_jobs(known: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """The sha256 that each file had when a job read it, where that is known."""
    read: dict[str, set[str]] = {}
    for record in known.values():
        for target, checksum in (record.get("input_checksums") or {}).items():
            if str(checksum).startswith("sha256:"):
                read.setdefault(target, set()).add(str(checksum).removeprefix("sha256:"))
    return read


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
