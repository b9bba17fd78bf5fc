"""Carry Snakemake's records with the commit, so that what is pulled is known to be current.

Snakemake keeps in `.snakemake/metadata` what each output was made from; a fresh clone has none of
it and would make everything again. `export` writes these records, each with its output's sha256,
to one file for git. `restore` puts a record back where the file on disk is that very output, and
lets Snakemake make again what is another file. For Snakemake 9 (record format 6).
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError
from unlabel.workflow.engine import records

PROVENANCE = Path("provenance.json")
RECORDS = Path(".snakemake/metadata")
UNFINISHED = Path(".snakemake/incomplete")  # a mark for each output of a running job
SEEN = files.FROZEN / "seen.json"
LOCAL = ("job_hash", "external_jobid", "incomplete")  # of one process or machine
OTHER = {"code": "the file is not the one that was recorded"}  # no rule's: it is made again

Look = list[int] | None  # a file's size, time and number, which change when it is written


@dataclass
class Seen:
    """Files and records as they were last looked at: only what has changed since is read again."""

    version: str = ""  # the sha256 of the provenance that was restored or exported
    files: dict[str, tuple[Look, str]] = field(default_factory=dict)  # and the file's sha256
    records: dict[str, Look] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Seen":
        """What `write` has written; nothing where that is missing or damaged."""
        with suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(SEEN.read_text(encoding="utf-8")))
        return cls()

    def write(self) -> None:
        """Keep it for the next process."""
        files.write_text(SEEN, json.dumps(asdict(self)))

    def sha256(self, target: str) -> str:
        """Of a file; it is read only if it has changed."""
        path = Path(target)
        look = _look(path)
        before, digest = self.files.get(target, (None, ""))
        if look is None or look != before:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.files[target] = (look, digest)
        return digest

    def changed(self, target: str) -> bool:
        """Has the file, or its record, been written or removed since?"""
        file = self.files.get(target, (None, ""))[0]
        return file != _look(Path(target)) or self.made(target)

    def made(self, target: str) -> bool:
        """Has Snakemake written the record since, and so the file?"""
        return self.records.get(target) != _look(records.place(RECORDS, target))

    def note(self, targets: Iterable[str]) -> None:
        """See the files, of unchanged content, and the records as they are now."""
        for target in targets:
            if target in self.files:
                self.files[target] = (_look(Path(target)), self.files[target][1])
            self.records[target] = _look(records.place(RECORDS, target))


def export(path: Path = PROVENANCE) -> None:
    """Write the records of all outputs that are there."""
    seen = Seen.read()
    found = {
        target: _portable(record)
        for target, record in records.read(RECORDS)
        if Path(target).is_file()
    }
    kept = {
        target: record | {"sha256": seen.sha256(target)}
        for target, record in found.items()
        if record["code"] != OTHER["code"]
    }
    files.write_json(path, kept)
    seen.version = _digest(path.read_bytes())
    seen.note(kept)
    seen.write()
    print(f"provenance: {len(kept)} records in {path}", file=sys.stderr)


def restore(path: Path = PROVENANCE, thorough: bool = True) -> None:
    """Put back the records of outputs that are on disk as they were made; have others made again.

    Without `thorough`, a file whose size and time have not changed is taken to be what it was.
    Raises `UserError` if `path` is damaged.
    """
    if not path.exists():
        return
    text = path.read_bytes()
    seen = Seen.read()
    same = seen.version == (version := _digest(text))
    before = {target: digest for target, (_, digest) in seen.files.items()}
    if thorough:
        seen.files = {target: (None, digest) for target, digest in before.items()}
    elif same and not any(map(seen.changed, seen.records)):
        return
    try:
        kept = json.loads(text)
        wanted = {target: record.pop("sha256") for target, record in kept.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged; restore it with git, or delete it") from error
    genuine, stale, others = [], [], []
    for target in (each for each in wanted if Path(each).is_file()):
        stored = _stored(target)
        if seen.sha256(target) == wanted[target]:
            genuine.append(target)
            # A record that differs is Snakemake's of later, where the same bits were made anew;
            # but the file may also have come from a commit that was checked out.
            anew = same and (seen.made(target) or before.get(target) == wanted[target])
            if stored is None or (stored != kept[target] and not anew):
                stale.append(target)
        elif stored in (None, kept[target]) and not records.place(UNFINISHED, target).exists():
            others.append(target)
    for target in stale:
        _store(target, kept[target])
    for target in others:
        _store(target, kept[target] | OTHER)
    # One time for all that are genuine, links and what they lead to: Snakemake would make again, or
    # at least read, what is newer than what was made from it.
    now = time.time()
    for target in genuine if stale else ():
        for follow in (False, True):
            with suppress(PermissionError):  # another user's, in a shared cache
                os.utime(target, (now, now), follow_symlinks=follow)
    seen.version = version
    seen.note(wanted)
    seen.write()
    if stale:
        print(f"provenance: {len(stale)} of {len(kept)} records restored", file=sys.stderr)
    for target in others:
        print(f"{target} is not the file that {path} records; it is made again", file=sys.stderr)


def _store(target: str, record: dict[str, Any]) -> None:
    UNFINISHED.mkdir(parents=True, exist_ok=True)  # or Snakemake would take the records for old
    content = record | {"job_hash": 0, "incomplete": False}
    files.write_json(records.place(RECORDS, target), content)


def _stored(target: str) -> dict[str, Any] | None:
    place = records.place(RECORDS, target)
    return _portable(place) if place.exists() else None


def _portable(record: Path) -> dict[str, Any]:
    content = json.loads(record.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key not in LOCAL}


def _look(path: Path) -> Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    try:
        {"export": export, "restore": restore}[sys.argv[1]]()
    except UserError as error:
        sys.exit(f"error: {error}")
