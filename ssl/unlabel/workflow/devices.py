"""The GPUs that the jobs of this machine may share, counted without loading torch or CUDA."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
# For tests, a folder with a file nvidia0, nvidia1, ... for each GPU. Jobs then compute on CPUs.
STAND_INS = "UNLABEL_STAND_IN_GPUS"


def shared(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs by the names that CUDA takes; what `CUDA_VISIBLE_DEVICES` leaves out is not ours.

    A user or Slurm sets that. As CUDA does, this ends at the first name that is none.
    """
    count = _count(Path(environment.get(STAND_INS) or "/dev"))
    names = environment.get(VISIBLE)
    if names is None:
        return [str(number) for number in range(count)]
    known = []
    for name in map(str.strip, names.split(",") if count else ()):
        if not (name.startswith(("GPU-", "MIG-")) or (name.isdigit() and int(name) < count)):
            break
        known.append(name)
    return list(dict.fromkeys(known))


def _count(devices: Path) -> int:
    """The number of GPUs, by the driver's files; where it has none, as in WSL, it is asked."""
    with suppress(OSError):
        if found := sum(bool(re.fullmatch(r"nvidia\d+", each.name)) for each in devices.iterdir()):
            return found
    if devices == Path("/dev") and shutil.which("nvidia-smi"):
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
            return len(re.findall(r"^GPU \d+:", said.stdout, re.MULTILINE))
    return 0
