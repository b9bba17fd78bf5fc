"""What jobs need of this machine: its Python, room on the disk, folders they may write in."""

import atexit
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from unlabel.errors import UserError

SSL = str(Path(__file__).parents[2])  # the folder with this package
ROOM = 1 << 20  # bytes: less is too little for anything


def use_this_python() -> None:
    """Let jobs find the `python` and the package of this process, activated or not."""
    _put_first("PATH", str(Path(sys.executable).parent))
    _put_first("PYTHONPATH", SSL)


def _put_first(variable: str, folder: str) -> None:
    others = [each for each in os.environ.get(variable, "").split(os.pathsep) if each]
    if folder not in others[:1]:
        os.environ[variable] = os.pathsep.join([folder, *others])


def say_if_full() -> None:
    """If the disk is full in the end, let that be the last word.

    Snakemake's own log is on that disk, too: Python would show a traceback for each lost line.
    """
    logging.raiseExceptions = False

    def say() -> None:
        if shutil.disk_usage(folder).free < ROOM:
            where = f"no room is left on the disk of {folder}"
            print(f"error: {where}; make room there and start again", file=sys.stderr)

    folder = Path.cwd()
    atexit.register(say)


def check_folders(outputs: Iterable[str]) -> None:
    """Raise `UserError` if a job could not write one of `outputs`.

    Snakemake itself makes folders, removes old outputs and writes logs, and would end with a
    traceback.
    """
    for folder in dict.fromkeys(Path(file).parent for file in outputs):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            where = there.absolute()
            raise UserError(f"cannot write in {where}: Permission denied; permit it, start again")
