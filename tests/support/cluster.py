"""A real Slurm on this machine."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.project import ROOT
from unlabel.workflow import devices

PATH = f"{os.environ['PATH']}:/usr/sbin"
needs_slurm = pytest.mark.skipif(
    shutil.which("slurmctld", path=PATH) is None,
    reason="needs Slurm: apt-get install slurmctld slurmd slurm-client",
)


needs_accounting = pytest.mark.skipif(
    any(shutil.which(each, path=PATH) is None for each in ("slurmctld", "slurmdbd", "mariadbd")),
    reason="needs Slurm's accounting: apt-get install slurmdbd mariadb-server",
)


@contextmanager
def running(folder: Path, accounting: bool = False) -> Iterator[Path]:
    """A Slurm in `folder`, on ports that are free; commands find it by the environment."""
    script = ROOT / "tests/support/slurm/cluster.sh"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_TEST_ACCOUNTING", "1" if accounting else "")
        try:
            started = subprocess.run([script, "start", folder], capture_output=True, text=True)
            assert started.returncode == 0, started.stderr
            patch.setenv(devices.STAND_INS, str(folder))  # its jobs compute on CPUs
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
            yield folder
        finally:
            subprocess.run([script, "stop", folder], check=True, capture_output=True)
