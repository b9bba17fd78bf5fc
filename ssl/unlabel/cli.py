"""`unlabel STAGE --name FILE ...`: one command per module of `unlabel.stage`."""

import os
import stat
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from inspect import getdoc, signature
from io import TextIOWrapper
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from unlabel.errors import UserError, did_you_mean, of_machine

STAGES = sorted(file.stem for file in (Path(__file__).parent / "stage").glob("[!_]*.py"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stage that the arguments name; exit with 2 and one sentence for a user's mistake."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every encoding has what tables are made of
    stage, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if stage in ("-h", "--help"):
            print(f"usage: unlabel STAGE --name FILE ...\n\nstages: {', '.join(STAGES)}")
        elif stage not in STAGES:
            raise UserError(f"unknown stage {stage!r}; {did_you_mean(stage, STAGES)}")
        else:
            _run(stage, rest)
    except UserError as error:
        sys.exit(f"error: {error}")
    except (OSError, MemoryError, RuntimeError) as error:
        if not (said := of_machine(error)):
            raise
        if stat.S_ISREG(os.fstat(2).st_mode):  # a log, which may be on the disk that is full
            print(f"error: {said}", flush=True)
        sys.exit(f"error: {said}")


def _run(stage: str, arguments: Sequence[str]) -> None:
    from unlabel.hardware import keep_memory

    run = import_module(f"unlabel.stage.{stage}").run
    parser = ArgumentParser(prog=f"unlabel {stage}", description=getdoc(run))
    for name, parameter in signature(run).parameters.items():
        needed = parameter.default is parameter.empty
        options = {"required": True} if needed else {"default": parameter.default}
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, **options, **_options(parameter.annotation))
    keep_memory()
    run(**vars(parser.parse_args(arguments)))


def _options(kind: Any) -> dict[str, Any]:
    """What argparse is told of a type: of list[X] and X | None what it is told of X, and more."""
    if get_origin(kind) is UnionType:
        return _options(next(each for each in get_args(kind) if each is not NoneType))
    if get_origin(kind) is list:
        return {"nargs": "+", **_options(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    return {"action": "store_true"} if kind is bool else {"type": kind}
