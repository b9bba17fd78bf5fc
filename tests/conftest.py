"""What several test files need: small real data, and projects that were built once."""

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from support import forks, project, versions
from unlabel.data.images import Images
from unlabel.hardware import Hardware

os.environ.pop("UNLABEL_PLAN", None)
# Begun in the background of a shell, this process and its children would ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """One server does the commands of the session, whichever worker asks for them."""
    if not hasattr(config, "workerinput"):
        session = ExitStack()
        session.enter_context(forks.server())
        config.add_cleanup(session.close)


@pytest.fixture(scope="session")
def digits() -> Images:
    """500 of scikit-learn's digits, as (1, 16, 16)."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    pixels = torch.tensor(raw.images[:500] / 16 * 255).to(torch.uint8)[:, None]
    pixels = pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return Images.of(torch.arange(500), pixels, torch.tensor(raw.target[:500], dtype=torch.int64))


@pytest.fixture
def hardware() -> Hardware:
    """One thread of the CPU, in float32."""
    return Hardware(device="cpu", precision="float32")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose small study was built once, with two cores."""
    folder = project.project(tmp_path_factory.mktemp("made"), project.STUDY)
    project.snakemake(folder, "--cores", "2")
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The built project, to change something in."""
    return shutil.copytree(made, tmp_path / "copy", symlinks=True)


@pytest.fixture(scope="session")
def versioned(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built project as a repository of git and DVC, committed and pushed; to be cloned only."""
    folder = tmp_path_factory.mktemp("versioned")
    return versions.repository(made, folder / "project", folder / "remote")


@pytest.fixture(scope="session")
def fresh(versioned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone with what DVC has, to be copied only."""
    return versions.clone(versioned, tmp_path_factory.mktemp("fresh") / "clone")


@pytest.fixture
def pulled(fresh: Path, tmp_path: Path) -> Path:
    """A fresh clone with what DVC has."""
    return shutil.copytree(fresh, tmp_path / "clone", symlinks=True)
