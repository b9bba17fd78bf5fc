"""Outputs and records that are not what Snakemake left: seen to before it decides what to do.

Snakemake looks at times, at what a file was made from and, of inputs, at their content when their
time has changed; then it makes again what was made from a file. Whether the file itself is still
the one that was made, it does not ask: it would measure damaged features, and report the numbers.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.workflow.engine import records
from unlabel.workflow.engine.provenance import OTHER, RECORDS, UNFINISHED

NO_CHECKSUM = (".json", ".yaml")  # small files that do not tell themselves that they are damaged


def look_after() -> None:
    """Have altered outputs made again, and give those from the future a time that has been.

    An output counts as altered if it is not what any job has read. Where a file has a checksum of
    its own, that is asked only if it was written after its record was. Records that are damaged
    are removed: what they were of is made again.
    """
    found = dict(_readable())
    read = _read_by_jobs(found)
    now = time.time()
    for target in found:
        path, place = Path(target), records.place(RECORDS, target)
        if records.place(UNFINISHED, target).exists() or not path.is_file():
            continue  # a job is at work, or Snakemake makes it anyway
        written = path.stat().st_mtime
        later = written > place.stat().st_mtime or path.suffix in NO_CHECKSUM
        if later and target in read:
            if _digest(path) in read[target]:
                if written > place.stat().st_mtime:
                    os.utime(place)  # seen, and not to be read again each time
            else:
                files.write_json(place, found[target] | OTHER)
                print(f"{target} was changed after it was made; it is made again", file=sys.stderr)
        if written > now:
            _set_back(path, min(now, float(found[target].get("endtime") or now)))


def _readable() -> dict[str, dict[str, Any]]:
    """Each output's record; one that is damaged is removed, as Snakemake would fail to read it."""
    found = {}
    for target, place in list(records.read(RECORDS)):
        try:
            content = json.loads(place.read_text())
            if not isinstance(content["rule"], str) or not isinstance(content["params"], list):
                raise ValueError("no record")
            found[target] = content
        except (ValueError, KeyError, TypeError):
            if not records.place(UNFINISHED, target).exists():  # else it may be being written
                place.unlink(missing_ok=True)
                print(f"the record of {target} is damaged; it is made again", file=sys.stderr)
    return found


def _read_by_jobs(found: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """The sha256 of each file when jobs read it, as far as it is known."""
    read: dict[str, set[str]] = {}
    for record in found.values():
        for target, checksum in (record.get("input_checksums") or {}).items():
            if str(checksum).startswith("sha256:"):
                read.setdefault(target, set()).add(str(checksum).removeprefix("sha256:"))
    return read


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _set_back(path: Path, moment: float) -> None:
    """The time of a file and, where it is a link, of both."""
    for follow in (False, True):
        with suppress(PermissionError):  # another user's, in a shared cache
            os.utime(path, (moment, moment), follow_symlinks=follow)
