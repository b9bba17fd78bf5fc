"""What must be put right before Snakemake decides what to make.

A run writes the corrections to disk. A look (a dry run, `--summary`, `--dag`) writes nothing:
Snakemake sees them through `persistence`, and so plans the same jobs.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS, UNFINISHED

Record = dict[str, Any]


@dataclass
class Corrections:
    """By the path of an output."""

    records: dict[str, Record | None] = field(default_factory=dict)  # None: it has none
    unfinished: set[str] = field(default_factory=set)  # a job may have written half of these
    times: dict[str, float] = field(default_factory=dict)  # seconds since 1970
    forced: set[str] = field(default_factory=set)  # Snakemake cannot tell that they are old
    ignore_locks: bool = False  # those on disk are of a Snakemake that was killed

    def write(self) -> None:
        """Change the files on disk."""
        # without the second folder Snakemake would take the records for those of an old version
        for folder in (RECORDS, UNFINISHED) if self.records or self.unfinished else ():
            folder.mkdir(parents=True, exist_ok=True)
        for target, record in self.records.items():
            place = records.place(RECORDS, target)
            if record is None:
                place.unlink(missing_ok=True)
            else:
                _write(place, record)
        for target in self.unfinished:
            _write(records.place(UNFINISHED, target), {"external_jobid": None})
        for target, seconds in self.times.items():
            _set_time(Path(target), seconds)


def running(targets: Iterable[str]) -> set[str]:
    """Those of `targets` that a job is writing, or was when its Snakemake was killed."""
    return {target for target in targets if records.place(UNFINISHED, target).exists()}


def _write(place: Path, content: Record) -> None:
    """Write a record, whole or not at all.

    Its name may be as long as a file's can be. So it is written under a short name, and elsewhere,
    as all that is in Snakemake's folders counts as a record.
    """
    short = files.FROZEN / "record.json"
    files.write_json(short, content)
    place.parent.mkdir(parents=True, exist_ok=True)
    short.replace(place)


def _set_time(path: Path, seconds: float) -> None:
    """Of a file; of a link and of the file that it leads to."""
    for follow in (False, True):
        with suppress(PermissionError):  # another user's file, in a shared cache
            os.utime(path, (seconds, seconds), follow_symlinks=follow)
