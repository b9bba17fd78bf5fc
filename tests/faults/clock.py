"""A clock that is wrong, or was."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from trial import Row, build, copied, differs, fresh

TITLE = "A clock that moves"


def inject() -> Iterator[Row]:
    """Files from the future and from long ago, each with work left to do; then a wrong clock."""
    future, past = time.time() + 86400, 10 * 365 * 86400
    for name, moment, what in (
        ("tomorrow", future, "data/prepared/**/*"),
        ("tomorrow", future, "*/**/*"),
        ("1980", past, "data/runs/**/encoder.safetensors"),
        ("1980", past, "*/**/*"),
    ):
        with copied() as folder:
            for path in [each for each in folder.glob(what) if each.is_file()]:
                os.utime(path, (moment, moment))
            for path in folder.glob("data/runs/*/*/rotation/*/*/features.parquet"):
                path.unlink()
            for path in folder.glob("data/runs/*/*/rotation/*/*/metrics/*.json"):
                path.unlink()
            yield row(f"`{what}` is of {name}", folder)
    if shutil.which("faketime") is None:
        return
    for first, then in (("+2d", ""), ("", "-2d")):
        with fresh() as folder:
            build(
                folder,
                "data/runs/tiny/digits/rotation/base/0/encoder.safetensors",
                before=fake(first),
            )
            name = f"half was made with a clock {first or 'that was right'}, half with one {then or 'that was right'}"
            yield row(name, folder, *fake(then))


def fake(shift: str) -> list[str]:
    """The command that moves the clock of another."""
    return ["faketime", "-f", shift] if shift else []


def row(fault: str, folder: Path, *before: str) -> Row:
    """Go on, and see that then nothing is left to do."""
    ended = build(folder, before=before)
    if ended.status or differs(folder):
        return Row(fault, 1, f"{differs(folder)} {ended.said[-1500:]}", False)
    idle = "Nothing to be done" in build(folder, before=before).said
    return Row(fault, 1, "same bits, and nothing left to do" if idle else "never done", idle)
