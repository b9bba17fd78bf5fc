"""A job on this machine ends with the Snakemake that started it, however that ends.

Otherwise it would go on alone, and overwrite what the next Snakemake makes in its place.
"""

import os
import select
import signal
import threading
import time
from contextlib import suppress

ENVIRONMENT = "UNLABEL_SNAKEMAKE"  # the number of the Snakemake's process
SECONDS = 0.5  # between two looks, where the system cannot tell by itself


def offer(local: bool) -> None:
    """Let the jobs of this process end with it, if they are on this machine."""
    os.environ.pop(ENVIRONMENT, None)
    if local:
        os.environ[ENVIRONMENT] = str(os.getpid())


def take() -> None:
    """End this process with its Snakemake; nothing if none offers that."""
    if number := os.environ.get(ENVIRONMENT):
        threading.Thread(target=_watch, args=(int(number),), daemon=True).start()


def _watch(process: int) -> None:
    with suppress(ProcessLookupError):
        _wait_for(process)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(process: int) -> None:
    """Return when a process is over. Raises `ProcessLookupError` if it already is."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):  # not Linux, or an old one
        while True:
            os.kill(process, 0)
            time.sleep(SECONDS)
    else:
        select.select([descriptor], [], [])
