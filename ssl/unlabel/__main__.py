"""`unlabel STAGE --name FILE ...`: one command per module of `unlabel.stage`."""

import errno
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from inspect import getdoc, signature
from pathlib import Path
from typing import get_origin

from unlabel.errors import UserError, nearest

STAGES = sorted(file.stem for file in (Path(__file__).parent / "stage").glob("[!_]*.py"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stage that the arguments name; exit with 2 and one sentence for a user's mistake."""
    stage, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if stage in ("-h", "--help"):
            print(f"usage: unlabel STAGE --name FILE ...\n\nstages: {', '.join(STAGES)}")
        elif stage not in STAGES:
            raise UserError(f"unknown stage {stage!r}; {nearest(stage, STAGES)}")
        else:
            _run(stage, rest)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        where = f" at {error.filename}" if error.filename else ""
        sys.exit(
            f"error: cannot write{where}: {error.strerror}; make room or permit it, start again"
        )


def _run(stage: str, arguments: Sequence[str]) -> None:
    from unlabel.hardware import keep_memory

    run = import_module(f"unlabel.stage.{stage}").run
    parser = ArgumentParser(prog=f"unlabel {stage}", description=getdoc(run))
    for name, parameter in signature(run).parameters.items():
        many = get_origin(parameter.annotation) is list
        flag = f"--{name.replace('_', '-')}"
        needed = parameter.default is parameter.empty
        default = None if needed else parameter.default
        nargs = "+" if many else None
        parser.add_argument(flag, type=Path, required=needed, default=default, nargs=nargs)
    keep_memory()
    run(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    from unlabel import forkserver

    if (status := forkserver.ask(sys.argv[1:])) is None:
        main()
    sys.exit(status)
