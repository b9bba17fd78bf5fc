"""Carry Snakemake's records with the commit, so that what is pulled is known to be current.

Snakemake keeps in `.snakemake/metadata` what each output was made from; a fresh clone has none of
it and would make everything again. `export` writes these records, each with its output's sha256,
to one file for git. `restore` puts a record back where the file on disk is that very output; all
else is left for Snakemake to judge. For Snakemake 9 (record format 6).
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from unlabel import files, records
from unlabel.errors import UserError

RECORDS = Path(".snakemake/metadata")
LOCAL = ("job_hash", "external_jobid", "incomplete")  # of one process or machine


def export(path: Path = Path("provenance.json")) -> None:
    """Write the records of all outputs that are there."""
    kept = {
        target: _portable(record) | {"sha256": _sha256(Path(target))}
        for target, record in records.read(RECORDS)
        if Path(target).is_file()
    }
    files.write_json(path, kept)
    print(f"provenance: {len(kept)} records in {path}", file=sys.stderr)


def restore(path: Path = Path("provenance.json")) -> None:
    """Put back the records of outputs that are on disk as they were made."""
    if not path.exists():
        return
    try:
        kept = json.loads(path.read_text())
        wanted = {target: record.pop("sha256") for target, record in kept.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged; restore it with git, or delete it") from error
    genuine = [t for t, sha in wanted.items() if Path(t).is_file() and _sha256(Path(t)) == sha]
    stale = [target for target in genuine if _stored(target) != kept[target]]
    for target in stale:
        record = kept[target] | {"job_hash": 0, "incomplete": False}
        files.write_json(records.place(RECORDS, target), record)
    # One time for all that are genuine: none is newer than another, and a file that is not the
    # recorded one stays older than its inputs, so that Snakemake makes it again.
    now = time.time()
    for target in genuine if stale else ():
        os.utime(target, (now, now))
    print(f"provenance: {len(stale)} of {len(kept)} records restored", file=sys.stderr)


def _stored(target: str) -> dict[str, Any] | None:
    place = records.place(RECORDS, target)
    return _portable(place) if place.exists() else None


def _portable(record: Path) -> dict[str, Any]:
    content = json.loads(record.read_text())
    return {key: value for key, value in content.items() if key not in LOCAL}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        {"export": export, "restore": restore}[sys.argv[1]]()
    except UserError as error:
        sys.exit(f"error: {error}")
