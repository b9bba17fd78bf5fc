"""The files of weights and code that planned runs are made from."""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError
from unlabel.params import start
from unlabel.params.settings import load
from unlabel.run import Run

DIGITS = 64  # of a sha256; a power cut may leave fewer of them


def seal(settings: dict[str, Any], run: Run, cache: Path) -> dict[str, str]:
    """Write the sha256 of each file that a run is made from into its settings -> by file.

    If a file is not here, as after `dvc pull`, what the finished run says of it counts. Raises
    `UserError` if there is no such run either.
    """

    def found(path: Path) -> str:
        try:
            return _digest(path, cache)
        except UserError:
            if known := _recorded(run, path):
                return known
            raise

    return start.sealed(settings, found)


def unchanged(entries: Mapping[str, Mapping[str, Mapping[str, Any]]], cache: Path) -> bool:
    """Has each file that a kept plan is about the content that it had?"""
    known = dict[str, str]()
    for stages in entries.values():
        known |= stages.get("pretrain", {}).get("files", {})
    with suppress(UserError):  # code that cannot be read has changed
        return all(
            not (path := Path(name)).exists() or _digest(path, cache) == before
            for name, before in known.items()
        )
    return False


def _digest(path: Path, cache: Path) -> str:
    """The sha256 of a file. Weights are read again only if their size or a time has changed."""
    if start.is_code(path) or not path.exists():
        return start.digest(path)  # of all that is imported, or says that there is no such file
    about = path.stat()
    state = f"{path.absolute()} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"
    kept = cache / f"weights-{sha256(state.encode()).hexdigest()[:16]}"
    if not kept.exists() or len(kept.read_text(encoding="utf-8")) != DIGITS:
        files.write_text(kept, start.digest(path), durable=False)
    return kept.read_text(encoding="utf-8")


def _recorded(run: Run, path: Path) -> str:
    """The sha256 of a file when a run like this was made, with any seed; empty if none was."""
    for params in sorted(Path("data/runs", run.folder).parent.glob("*/params.yaml")):
        for each in start.naming(load(params)):
            if start.place(each) == path and "sha256" in each:
                return str(each["sha256"])
    return ""
