"""A job of the workflow runs the code that was planned for it, or stops."""

import os
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from unlabel import files
from unlabel.errors import UserError
from unlabel.files import FROZEN
from unlabel.fingerprint import (
    closure,
    content,
    fingerprint,
    learn,
    newest,
    targets,
    tell,
)
from unlabel.fingerprint.reach import code, file_of
from unlabel.params.settings import load

ENVIRONMENT = "UNLABEL_CODE"  # the planned fingerprint; rules set it for their jobs


def check(stage: str, params: Path | None) -> None:
    """Raise `UserError` if a stage's code is not what the workflow planned for this process.

    Loads all of that code first, so that what is edited later has no effect on this process.
    """
    if not (planned := os.environ.get(ENVIRONMENT)):
        return  # no job of the workflow
    recall()
    names = [f"unlabel.stage.{stage}", *(targets(load(params)) if params else ())]
    for module in sorted(closure(names)):
        with suppress(ImportError):  # of a library that this stage can do without
            import_module(module)
    if fingerprint(*names) != planned or edited(closure(names)):
        raise UserError(
            f"the code of `{stage}` was changed after this workflow had planned its jobs, most "
            f"likely in {newest(names)}; start again"
        )


def edited(modules: Iterable[str]) -> bool:
    """Has the file of a module changed since this process first read it, as while it loads?"""
    paths = [path for module in modules if (path := file_of(module))]
    return any(not path.exists() or path.read_bytes() != content.read(path) for path in paths)


def recall(folder: Path = FROZEN) -> None:
    """Learn the fingerprints of just this code that an earlier process has kept."""
    with suppress(OSError, UnicodeDecodeError):
        learn(_kept(folder).read_text(encoding="utf-8"))


def keep(folder: Path = FROZEN) -> None:
    """Keep all fingerprints that are known for later processes, such as jobs."""
    text, path = tell(), _kept(folder)
    if not path.exists() or path.read_bytes() != text.encode():
        files.write_text(path, text, durable=False)  # a damaged one is not believed


def _kept(folder: Path) -> Path:
    return folder / f"fingerprints-{code()}.txt"
