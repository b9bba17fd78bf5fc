"""Carry Snakemake's records with the commit, so that what is pulled is known to be current.

Snakemake keeps in `.snakemake/metadata` what each output was made from; a fresh clone has none of
it and would make everything again. `export` writes these records, each with its output's sha256,
to one file for git. `restore` puts a record back where the file on disk is that very output; all
else is left for Snakemake to judge. For Snakemake 9 (record format 6).
"""

import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError

RECORDS = Path(".snakemake/metadata")
LOCAL = ("job_hash", "external_jobid", "incomplete")  # of one process or machine
LONGEST = 254  # characters of a file's name; what is longer Snakemake makes folders of


def export(path: Path = Path("provenance.json")) -> None:
    """Write the records of all outputs that are there."""
    records = {
        target: {key: value for key, value in record.items() if key not in LOCAL}
        | {"sha256": _sha256(Path(target))}
        for target, record in _records()
        if Path(target).is_file()
    }
    files.write_json(path, records)
    print(f"provenance: {len(records)} records in {path}", file=sys.stderr)


def restore(path: Path = Path("provenance.json")) -> None:
    """Put back the records of outputs that are on disk as they were made."""
    if not path.exists():
        return
    try:
        records = json.loads(path.read_text())
        wanted = {target: record.pop("sha256") for target, record in records.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged; restore it with git, or delete it") from error
    genuine = [t for t, sha in wanted.items() if Path(t).is_file() and _sha256(Path(t)) == sha]
    stale = [target for target in genuine if _stored(target) != records[target]]
    for target in stale:
        place = _place(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(place, records[target] | {"job_hash": 0, "incomplete": False})
    # One time for all that are genuine: none is newer than another, and a file that is not the
    # recorded one stays older than its inputs, so that Snakemake makes it again.
    now = time.time()
    for target in genuine if stale else ():
        os.utime(target, (now, now))
    print(f"provenance: {len(stale)} of {len(records)} records restored", file=sys.stderr)


def _records() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(path for path in RECORDS.rglob("*") if path.is_file()):
        name = "".join(part.removeprefix("@") for part in file.relative_to(RECORDS).parts)
        yield base64.urlsafe_b64decode(name).decode(), json.loads(file.read_text())


def _place(target: str) -> Path:
    name = base64.urlsafe_b64encode(target.encode()).decode()
    parts = [name[i : i + LONGEST] for i in range(0, len(name), LONGEST)]
    return RECORDS.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _stored(target: str) -> dict[str, Any] | None:
    place = _place(target)
    if not place.exists():
        return None
    record = json.loads(place.read_text())
    return {key: value for key, value in record.items() if key not in LOCAL}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        {"export": export, "restore": restore}[sys.argv[1]]()
    except UserError as error:
        sys.exit(f"error: {error}")
