"""Carry Snakemake's records with the commit, so that pulled files are known to be current.

Snakemake keeps in `.snakemake/metadata` what each output was made from. A fresh clone has none of
that, and would make everything again. `export` writes these records, each with the sha256 of its
output, to one file for git. `compare` finds the records whose output on disk is that very file, so
that they can be put back, and the outputs that are other files, which Snakemake then makes again.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from unlabel import files
from unlabel.errors import UserError
from unlabel.workflow.engine import holes, records
from unlabel.workflow.engine.corrections import Corrections, Record, running
from unlabel.workflow.engine.records import OTHER, RECORDS

PROVENANCE = Path("provenance.json")
SEEN = files.FROZEN / "seen.json"
LOCAL = ("job_hash", "external_jobid", "incomplete", "size", "time")  # of one process or machine

Look = list[int] | None  # a file's size, time and number, which change when it is written


@dataclass
class Seen:
    """Files and records as they were last seen: only those that changed since are read again."""

    version: str = ""  # the sha256 of the provenance that was last restored or exported
    files: dict[str, tuple[Look, str]] = field(default_factory=dict)  # and the file's sha256
    records: dict[str, Look] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Seen":
        """What `write` has written; nothing if that is missing or damaged."""
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
            digest = files.sha256(path)
            self.files[target] = (look, digest)
        return digest

    def changed(self, target: str) -> bool:
        """Was the file, or its record, written or removed since?"""
        file = self.files.get(target, (None, ""))[0]
        return file != _look(Path(target)) or self.made(target)

    def made(self, target: str) -> bool:
        """Has Snakemake written the record since, and so the file?"""
        return self.records.get(target) != _look(records.place(RECORDS, target))

    def note(self, targets: Iterable[str]) -> None:
        """Remember files, whose content is known, and records as they are now."""
        for target in targets:
            if target in self.files:
                self.files[target] = (_look(Path(target)), self.files[target][1])
            self.records[target] = _look(records.place(RECORDS, target))


def export(path: Path = PROVENANCE) -> None:
    """Write the records of all outputs that are there and that no job is writing.

    Raises `UserError` if an output is missing that others were made with or from, or is not the
    file that was made: a clone would lack it, or take it for genuine.
    """
    seen = Seen.read()
    known = {target: _read_record(place) for target, place in records.read(RECORDS)}
    known = {target: record for target, record in known.items() if not running([target])}
    holes.refuse(known, seen.sha256)
    kept = {
        target: _portable(record) | {"sha256": seen.sha256(target)}
        for target, record in known.items()
        if Path(target).is_file()
    }
    files.write_json(path, kept)
    seen.version = _digest(path.read_bytes())
    seen.note(kept)
    seen.write()
    print(f"provenance: {len(kept)} records in {path}", file=sys.stderr)


@dataclass
class Comparison:
    """What is exported, compared with what is on disk."""

    corrections: Corrections
    seen: Seen
    exported: list[str]  # the outputs

    def write(self) -> None:
        """Correct what is on disk, and remember it."""
        self.corrections.write()
        if self.exported:
            self.seen.note(self.exported)
            self.seen.write()


def compare(path: Path = PROVENANCE) -> Comparison:
    """Find the records to put back, and the outputs that must be made again; print how many.

    A file whose size, time and number have not changed is not read again. Raises `UserError` if
    `path` is damaged.
    """
    found, seen = Corrections(), Seen.read()
    if not path.exists():
        return Comparison(found, seen, [])
    text = path.read_bytes()
    same = seen.version == (version := _digest(text))
    if same and not any(map(seen.changed, seen.records)):
        return Comparison(found, seen, [])
    kept, wanted = _read(path, text)
    before = {target: digest for target, (_, digest) in seen.files.items()}
    genuine, stale, others = [], [], []
    for target in (each for each in wanted if Path(each).is_file()):
        stored = _stored(target)
        if seen.sha256(target) == wanted[target]:
            genuine.append(target)
            # Snakemake's own record differs where it made the same bits anew later; but the file
            # may also come from a commit that was checked out.
            anew = same and (seen.made(target) or before.get(target) == wanted[target])
            if stored is None or (stored != kept[target] and not anew):
                stale.append(target)
        elif stored in (None, kept[target]) and not running([target]):
            others.append(target)
    found.records = {
        target: _restored(kept[target]) | {"sha256": wanted[target]} for target in stale
    }
    found.records |= {target: _restored(kept[target] | OTHER) for target in others}
    # All that are genuine get one time: Snakemake would make again, or at least read, whatever is
    # newer than what was made from it.
    found.times = dict.fromkeys(genuine if stale else (), time.time())
    seen.version = version
    if stale:
        print(f"provenance: {len(stale)} of {len(kept)} records restored", file=sys.stderr)
    for target in others:
        print(f"{target} is not the file that {path} records; it is made again", file=sys.stderr)
    return Comparison(found, seen, list(wanted))


def _read(path: Path, text: bytes) -> tuple[dict[str, Record], dict[str, str]]:
    """The exported records, and the sha256 of their outputs."""
    try:
        kept = json.loads(text)
        return kept, {target: record.pop("sha256") for target, record in kept.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged; restore it with git, or delete it") from error


def _restored(record: Record) -> Record:
    return record | {"job_hash": 0, "incomplete": False}


def _stored(target: str) -> Record | None:
    """The record on disk; None if there is none, or a damaged one."""
    with suppress(OSError, ValueError, AttributeError):
        record = _portable(json.loads(records.place(RECORDS, target).read_text(encoding="utf-8")))
        return {key: value for key, value in record.items() if key != "sha256"}
    return None


def _read_record(place: Path) -> Record:
    """A record on disk; a damaged one is of no file that was made."""
    try:
        content: Record = json.loads(place.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else dict(OTHER)
    except ValueError:
        return dict(OTHER)


def _portable(record: Record) -> Record:
    return {key: value for key, value in record.items() if key not in LOCAL}


def _look(path: Path) -> Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
