"""What all workers of a session of tests share, made by whichever needs it first."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object] = Path.mkdir
) -> Path:
    """A folder of the session that `make` is asked to make, once for all workers."""
    base = factory.getbasetemp()
    if base.name.startswith("popen-"):  # a worker's own folder, in that of the session
        base = base.parent
    folder, done = base / "shared" / name, base / "shared" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with done.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # meanwhile other workers that need it wait
        if not done.exists():
            assert not folder.exists(), f"{name} could not be made: see the first test that failed"
            make(folder)
            done.touch()
    return folder
