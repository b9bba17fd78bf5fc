"""`unlabel COMMAND ...`: each module of `unlabel.command` and `unlabel.stage` is a command."""

import ast
import ctypes
import os
import re
import select
import shutil
import signal
import stat
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import getdoc, signature
from io import TextIOWrapper
from pathlib import Path
from textwrap import fill
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, cast, get_args, get_origin

from unlabel.errors import UserError, did_you_mean, of_machine

PACKAGES = {"command": "commands", "stage": "stages, which the workflow runs"}
FILES = {
    file.stem: file
    for package in PACKAGES
    for file in sorted((Path(__file__).parent / package).glob("[!_.]*.py"))
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; a user's mistake ends as one sentence and exit 1."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # some encodings lack the lines of tables
    try:
        try:
            _main(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        sys.exit(128 + signal.SIGPIPE)  # as other programs do in `... | head`


def _main(arguments: Sequence[str] | None) -> None:
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if command in ("-h", "--help"):
            print(overview())
        elif command not in FILES:
            raise UserError(f"unknown command {command!r}; {did_you_mean(command, [*FILES])}")
        else:
            _run(command, rest)
    except UserError as error:
        sys.exit(f"error: {error}")
    except (OSError, MemoryError, RuntimeError) as error:
        if not (said := of_machine(error)):
            raise
        if stat.S_ISREG(os.fstat(2).st_mode):  # a log, which may be on the disk that is full
            print(f"error: {said}", flush=True)
        sys.exit(f"error: {said}")


def _reader_is_gone() -> bool:
    """Does nobody read what this process prints? Then let it print to nowhere from now on."""
    poll, streams = select.poll(), (sys.stdout.fileno(), sys.stderr.fileno())
    for stream in streams:
        poll.register(stream, 0)
    gone = [stream for stream, event in poll.poll(0) if event & select.POLLERR]
    for stream in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    return bool(gone)


def overview() -> str:
    """What `unlabel --help` prints: each command with a line of help."""
    width = max(map(len, FILES))
    lines = ["usage: unlabel COMMAND ..."]
    for package, title in PACKAGES.items():
        names = [name for name, file in FILES.items() if file.parent.name == package]
        lines += ["", f"{title}:", *(f"  {name:{width}}  {summary(name)}" for name in names)]
    return "\n".join([*lines, "", "unlabel COMMAND --help says what a command takes"])


def summary(command: str) -> str:
    """A command's line of help: the first line of its module, which need not be imported for it."""
    tree = ast.parse(FILES[command].read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")


def entry(command: str) -> Callable[..., None]:
    """The function of a command."""
    module = import_module(f"unlabel.{FILES[command].parent.name}.{command}")
    return cast("Callable[..., None]", module.run)


def parser_of(command: str, run: Callable[..., None]) -> "Parser":
    """The parser of a command: a flag for each parameter of its function `run`."""
    description, flags = explained(run)
    parser = Parser(
        prog=f"unlabel {command}",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, parameter in signature(run).parameters.items():
        options = _options(parameter.annotation) | {"help": flags[name].replace("%", "%%")}
        if (default := parameter.default) is parameter.empty:
            options["required"] = True
        else:
            options["default"] = default
            options["help"] += f" (default: {default})" if default else ""
        parser.add_argument(_flag(name), **options)
    return parser


def explained(run: Callable[..., None]) -> tuple[str, dict[str, str]]:
    """The docstring of a command's `run`: what comes before `Args:`, and each of its parameters.

    What `Raises:` says is for programmers.
    """
    told = (getdoc(run) or "").partition("\n\nRaises:\n")[0]
    text, _, block = told.partition("\n\nArgs:\n")
    width = min(shutil.get_terminal_size().columns, 100) - 2
    description = "\n\n".join(fill(" ".join(each.split()), width) for each in text.split("\n\n"))
    flags = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", block, re.MULTILINE)
    return description, {name: " ".join(words.split()) for name, words in flags}


class Parser(ArgumentParser):
    """Raises `UserError` for a mistake, instead of printing a usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def _run(command: str, arguments: Sequence[str]) -> None:
    from unlabel.data import local_copy
    from unlabel.params import planned_code

    run = entry(command)
    flags = ["--help", *map(_flag, signature(run).parameters)]
    typed = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    chosen, unknown = None, [word for word in typed if word not in flags]
    if not unknown:
        chosen, unknown = parser_of(command, run).parse_known_args(arguments)
    if unknown:
        known = did_you_mean(unknown[0], flags)
        raise UserError(f"unlabel {command} does not take {unknown[0]!r}; {known}")
    keep_memory()
    local_copy.install()
    planned_code.check(command, getattr(chosen, "params", None))
    run(**vars(chosen))


def keep_memory() -> None:
    """Keep freed memory for the next step: 1.5 times as many views/s on a CPU (tests/bench).

    Blocks of 128 MiB or more, such as the similarities of a very large batch, go back to the
    system: kept, they made a step of SimCLR with batch 4096 take 0.9 GiB more.
    """
    if sys.platform == "linux":
        libc, trim, mmap = ctypes.CDLL(None), -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        if hasattr(libc, "mallopt"):
            libc.mallopt(mmap, 1 << 27)
            libc.mallopt(trim, (1 << 31) - 1)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _options(kind: Any) -> dict[str, Any]:
    """What argparse needs to know of a type; for list[X] and X | None, that of X and more."""
    if get_origin(kind) is UnionType:
        options = _options(next(each for each in get_args(kind) if each is not NoneType))
        return options | ({"nargs": "*"} if "nargs" in options else {})
    if get_origin(kind) is list:
        return {"nargs": "+", **_options(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    return {"action": "store_true"} if kind is bool else {"type": kind}
