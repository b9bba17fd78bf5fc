"""What the Snakefile tells its jobs."""

import os
import sys
from pathlib import Path


def use_this_python() -> None:
    """Let jobs find the `python` and the package that this process runs, activated or not."""
    here = str(Path(sys.executable).parent)
    if here not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{here}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])


def gpus() -> int:
    """1 where this machine has an NVIDIA GPU, else 0: what a training job asks for.

    Asked of the system, as loading torch takes two seconds.
    """
    return int(Path("/dev/nvidia0").exists())
