"""A stage run by several processes of a machine, which torchrun starts, watches and ends."""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn

import torch
import torch.distributed as dist

from unlabel.errors import UserError, of_machine
from unlabel.nn import distributed

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

# How long the processes wait for one of them that hangs. None waits for a lock in this time: who
# starts them holds it.
PATIENCE = timedelta(seconds=float(os.environ.get("UNLABEL_PATIENCE_SECONDS", "1800")))
Flag = Path | list[str] | None  # what a flag of a stage says; None if it is left out
ALONE = ("--standalone",)
# What gloo raises, or the store through which processes meet, if one hangs
CONNECTION = ("RuntimeError", "DistBackendError", "DistNetworkError", "DistStoreError")


@dataclass(frozen=True)
class Failure:
    """How a process failed: what it recorded of its exception, or else the signal that ended it."""

    process: int
    exitcode: int
    signal: str
    recorded: Mapping[str, Any] | None

    @classmethod
    def of(cls, process: int, failure: "ProcessFailure") -> "Failure":
        """What torchrun says of a process."""
        message = failure.error_file_data.get("message")
        recorded = message if isinstance(message, dict) else None
        return cls(process, failure.exitcode, failure.signal_name(), recorded)


class Failed(Exception):
    """Processes that torchrun started have failed."""

    def __init__(self, failures: Sequence[Failure]):
        super().__init__(failures)
        self.failures = failures


def launched() -> bool:
    """Is this process one of several, started by torchrun?"""
    return dist.is_available() and dist.is_torchelastic_launched()


def leader() -> bool:
    """Is this the process that writes files and messages?"""
    return not launched() or os.environ["RANK"] == "0"


def launch(processes: int, stage: str, **flags: Flag) -> None:
    """Run a stage in several processes. They end when this one does, and all end if one fails.

    Raises `UserError` if one of them raises it, or is killed.
    """
    try:
        torchrun(processes, words(stage, flags))
    except Failed as error:
        explain(error.failures)


def words(stage: str, flags: Mapping[str, Flag]) -> list[str]:
    """The command of a stage, after `python -m`."""
    given = list[str]()
    for name, value in flags.items():
        if value:
            given += [f"--{name}", *(value if isinstance(value, list) else [str(value)])]
    return ["unlabel", stage, *given]


def torchrun(processes: int, command: Sequence[str], where: Sequence[str] = ALONE) -> None:
    """Run a stage in several processes; `where` are torchrun's options about other machines.

    `command` is what follows `python -m`. Raises `Failed` if some processes fail.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    options = [*where, "--nproc-per-node", str(processes), "-m"]
    logging.disable()  # torchrun logs a lot; what matters is said below
    try:
        # torchrun leaves its folder, in which the processes record their exceptions.
        with TemporaryDirectory(prefix="unlabel-", ignore_cleanup_errors=True) as folder:
            # After `--`, no flag of the stage is taken for one of torchrun's.
            run.run(run.parse_args([*options, "--log-dir", folder, "--", *command]))
    except ChildFailedError as error:
        raise Failed([Failure.of(*each) for each in error.failures.items()]) from None
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    finally:
        logging.disable(logging.NOTSET)


def explain(failures: Sequence[Failure]) -> NoReturn:
    """Exit with the failure that came first; the others only lost the connection to it."""
    recorded = [each.recorded for each in failures if each.recorded is not None]
    said = [each["message"].partition(": ") for each in recorded]
    if text := next((text for kind, _, text in said if kind == UserError.__name__), ""):
        raise UserError(text)
    # before signals, as torchrun kills a process that hangs
    if any(kind in CONNECTION and re.search(r"(?i)timed? ?out", text) for kind, _, text in said):
        raise UserError(
            f"a process did not answer the others for {PATIENCE.total_seconds() / 60:g} minutes, "
            "so all were ended; start again to go on from the last state that was saved"
        )
    for each in failures:
        if each.exitcode < 0 and each.exitcode != -signal.SIGTERM:
            raise UserError(
                f"process {each.process} was ended by {each.signal}, and with it the others; "
                "start again to go on from the last state that was saved"
            )
    if recorded:
        first = min(recorded, key=lambda each: int(each["extraInfo"]["timestamp"]))
        sys.exit(first["extraInfo"]["py_callstack"])
    raise SystemExit(max(each.exitcode for each in failures))


@contextmanager
def member(processes: int) -> Iterator[None]:
    """Join the processes that train together, if this is one of them. Only the first prints.

    An exception inside is recorded, and `launch` reports it.
    """
    if not launched():
        yield
        return
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with Path(os.devnull).open("w") as nowhere:
        with redirect_stderr(sys.stderr if leader() else nowhere):
            try:
                _join(processes)
                yield
            except Exception as error:
                said = of_machine(error)
                _record(UserError(said) if said else error)
                raise SystemExit(1) from error
            dist.destroy_process_group()


def _join(processes: int) -> None:
    if (started := int(os.environ["WORLD_SIZE"])) != processes:
        raise UserError(
            f"torchrun started {started} processes, but training.processes on all training.nodes "
            f"are {processes}; make them equal, or let `unlabel pretrain` start torchrun"
        )
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
    distributed.any_process(False)  # connects now, so that a failure to connect shows at the start


def _record(error: Exception) -> None:
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    get_error_handler().record_exception(error)


def _end_with(parent: int) -> None:
    """Kill this process once torchrun is gone, as a killed torchrun ends nobody."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
