"""A stage done by several processes of one machine, which torchrun starts, watches and ends."""

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

PATIENCE = timedelta(days=7)  # a process that ends is noticed otherwise; one may wait for a lock


def launched() -> bool:
    """Is this process one of several, started by torchrun?"""
    return dist.is_available() and dist.is_torchelastic_launched()


def leader() -> bool:
    """Is this the process that writes, of several or alone?"""
    return not launched() or os.environ["RANK"] == "0"


def launch(processes: int, stage: str, **flags: Path) -> None:
    """Do a stage in several processes. They end when this one does, and all when one fails.

    Raises `UserError` if one of them does, or is killed.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    words = [word for name, path in flags.items() for word in (f"--{name}", str(path))]
    command = ["--standalone", "--nproc-per-node", str(processes), "-m", "unlabel", stage, *words]
    logging.disable()  # torchrun's own account; what matters of it is said below
    try:
        torchrun.run(torchrun.parse_args(command))
    except ChildFailedError as error:
        _explain(error.failures)
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    finally:
        logging.disable(logging.NOTSET)


def _explain(failures: Mapping[int, "ProcessFailure"]) -> NoReturn:
    """End with the one failure that made the others fail, by which the peers lost a connection."""
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
    """Be one of the processes that train together, if this is one. Only the first of them speaks.

    What fails inside is left to `launch` to say.
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
            "make them equal, or leave torchrun to `unlabel pretrain`"
        )
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
    distributed.anywhere(False)  # connects, so that what fails here fails at the start


def _record(error: Exception) -> None:
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    get_error_handler().record_exception(error)


def _end_with(parent: int) -> None:
    """Be killed when torchrun is killed, which then can end nobody."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
