"""The software and the machine that made a result."""

import os
import platform
import resource
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import torch


def describe(device: str) -> dict[str, str]:
    """Versions, commit, machine and device, as plain text."""
    cuda = device.startswith("cuda")
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
        "lock": lock(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if cuda else processor(),
    }


def processor() -> str:
    """The CPU's name, and the number of cores this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor()}, {cores} cores"


def commit() -> str:
    """The commit of the working directory, with a `+` if files differ from it; may be empty."""
    try:
        git = ["git", "describe", "--always", "--abbrev=12", "--dirty=+"]
        done = subprocess.run(git, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def lock() -> str:
    """The hash of the lock file that this environment is made from; empty if there is none."""
    path = Path("requirements.lock")
    return sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


def peak_memory(device: str) -> int:
    """The most memory this process has held, in bytes; on a GPU, the most GPU memory."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage includes the process that started this one
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
