"""A job of the workflow runs the code that was planned for it, or stops."""

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from unlabel.errors import UserError
from unlabel.fingerprint import closure, fingerprint, newest, targets
from unlabel.params.settings import load

ENVIRONMENT = "UNLABEL_CODE"  # the planned fingerprint; rules set it for their jobs


def check(stage: str, params: Path | None) -> None:
    """Raise `UserError` if a stage's code is not what the workflow planned for this process.

    Loads all of that code first, so that what is edited later has no effect on this process.
    """
    if not (planned := os.environ.get(ENVIRONMENT)):
        return  # no job of the workflow
    names = [f"unlabel.stage.{stage}", *(targets(load(params)) if params else ())]
    for module in sorted(closure(names)):
        with suppress(ImportError):  # of a library that this stage can do without
            import_module(module)
    if fingerprint(*names) != planned:
        raise UserError(
            f"the code of `{stage}` was changed after this workflow had planned its jobs, most "
            f"likely in {newest(names)}; start again"
        )
