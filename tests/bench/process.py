"""Time and memory of a command."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    memory: float  # the most that its largest process held, in MiB
    output: str


def cost(*command: str, folder: Path | None = None, extra: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end. Raises `RuntimeError` with its output where it fails."""
    environment = os.environ | (extra or {})
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    with process.stdout as stream:
        output = stream.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{output}")
    return Cost(seconds, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), output)
