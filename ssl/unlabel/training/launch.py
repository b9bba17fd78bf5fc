"""A stage run by several processes of one machine, which torchrun starts, watches and ends."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch
import torch.distributed as dist

from unlabel.errors import UserError
from unlabel.nn import distributed

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

PATIENCE = timedelta(days=7)  # a process may wait for a lock; torchrun notices one that ends


def launched() -> bool:
    """Is this process one of several, started by torchrun?"""
    return dist.is_available() and dist.is_torchelastic_launched()


def leader() -> bool:
    """Is this the process that writes files and messages?"""
    return not launched() or os.environ["RANK"] == "0"


def launch(processes: int, stage: str, **flags: Path | list[str] | None) -> None:
    """Run a stage in several processes. They end when this one does, and all end if one fails.

    Raises `UserError` if one of them raises it, or is killed.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    words = []
    for name, value in flags.items():
        if value:
            words += [f"--{name}", *(value if isinstance(value, list) else [str(value)])]
    command = ["--standalone", "--nproc-per-node", str(processes), "-m", "unlabel", stage, *words]
    logging.disable()  # torchrun logs a lot; what matters is said below
    try:
        torchrun.run(torchrun.parse_args(command))
    except ChildFailedError as error:
        _explain(error.failures)
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    finally:
        logging.disable(logging.NOTSET)


def _explain(failures: Mapping[int, "ProcessFailure"]) -> NoReturn:
    """Exit with the failure that came first; the others only lost the connection to it."""
    recorded = {
        rank: failure.error_file_data["message"]
        for rank, failure in failures.items()
        if isinstance(failure.error_file_data.get("message"), dict)
    }
    for message in recorded.values():
        kind, _, text = message["message"].partition(": ")
        if kind == UserError.__name__:
            raise UserError(text)
    for rank, failure in failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            raise UserError(
                f"process {rank} was ended by {failure.signal_name()}, and with it the others; "
                "start again to go on from the last state that was saved"
            )
    if recorded:
        first = min(recorded.values(), key=lambda each: int(each["extraInfo"]["timestamp"]))
        sys.exit(first["extraInfo"]["py_callstack"])
    raise SystemExit(max(failure.exitcode for failure in failures.values()))


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
                _record(error)
                raise SystemExit(1) from error
            dist.destroy_process_group()


def _join(processes: int) -> None:
    if (started := int(os.environ["WORLD_SIZE"])) != processes:
        raise UserError(
            f"torchrun started {started} processes, but training.processes is {processes}; "
            "make them equal, or let `unlabel pretrain` start torchrun"
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
