"""What several test files need: small real data, and projects that were built once."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
import yaml

from support import forks, project, versions
from support.models import about, assembled, composed
from support.once import once
from support.project import ROOT
from unlabel import encoder, weights
from unlabel.data import compressed, images, loader
from unlabel.data.images import Images
from unlabel.hardware import Hardware

torch.set_num_threads(1)  # as there is a worker for each core
# Begun in the background of a shell, this process and its children would ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)


ROOM = 3 << 30  # bytes that the folders of all tests may need at once


def pytest_configure(config: pytest.Config) -> None:
    """One server does the commands of the session, whichever worker asks for them."""
    if not hasattr(config, "workerinput"):
        place = tempfile.gettempdir()
        free = shutil.disk_usage(place).free
        if config.getoption("numprocesses", None) and free < ROOM:
            pytest.exit(
                f"all tests together need 3 GiB in {place}, but {free / 2**30:.1f} are free; make "
                "room there, or set TMPDIR to a folder with room",
                returncode=1,
            )
        session = ExitStack()
        session.enter_context(forks.server())
        config.add_cleanup(session.close)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: one of the workers mostly waits, for Slurm or for a kill."""
    return len(os.sched_getaffinity(0)) + 1


# The files that take the longest, as one worker runs the tests of a file, which share what is made
# for them. They come first, so that none is left when all else is done.
LONG = (
    *("workflow/test_slurm", "workflow/test_dvc", "faults/test_faults", "workflow/test_workflow"),
    *("nn/test_distributed", "method/test_methods", "command/test_export", "workflow/test_current"),
    *("workflow/test_study_in_looks", "dataset/test_published", "workflow/test_own_images"),
    *("workflow/test_determinism", "workflow/test_looks", "report/test_report"),
    *("workflow/test_hostile", "workflow/test_other_clusters", "data/test_streaming"),
    *("nn/test_gradient_cache",),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, then the other tests of the workflow."""
    places = {ROOT / f"tests/{name}.py": place for place, name in enumerate(LONG)}
    assert all(path.exists() for path in places), "LONG names a file that is not there"
    items.sort(
        key=lambda item: (places.get(item.path, len(LONG)), "workflow" not in item.path.parts)
    )


@pytest.fixture(autouse=True)
def no_workflow() -> Iterator[None]:
    """No test is a job of another test's workflow: a plan that was kept names itself to jobs."""
    os.environ.pop("UNLABEL_PLAN", None)
    yield
    os.environ.pop("UNLABEL_PLAN", None)


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
    hardware = Hardware(device="cpu", precision="float32")
    hardware.configure()
    return hardware


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose small study was built once, with two cores; to be read and copied only.

    By processes of Snakemake and of its fork server, as a user's is.
    """

    def build(folder: Path) -> None:
        project.project(folder, project.STUDY)
        project.alone(folder, "--cores", "2")

    return once(tmp_path_factory, "made", build)


@pytest.fixture(scope="session")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose two trainings last long enough to be interrupted, built once."""

    def build(folder: Path) -> None:
        project.project(folder, project.LONGER)
        project.snakemake(folder, "--cores", "2")

    return once(tmp_path_factory, "longer", build)


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The built project, to change something in."""
    return shutil.copytree(made, tmp_path / "copy", symlinks=True)


@pytest.fixture(scope="session")
def versioned(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built project as a repository of git and DVC, committed and pushed; to be cloned only."""

    def make(folder: Path) -> None:
        versions.repository(made, folder / "project", folder / "remote")

    return once(tmp_path_factory, "versioned", make) / "project"


@pytest.fixture(scope="session")
def fresh(versioned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone with what DVC has, to be copied only."""
    return once(tmp_path_factory, "fresh", lambda folder: versions.clone(versioned, folder))


@pytest.fixture
def pulled(fresh: Path, tmp_path: Path) -> Path:
    """A fresh clone with what DVC has."""
    return shutil.copytree(fresh, tmp_path / "clone", symlinks=True)


@pytest.fixture
def trained(digits, tmp_path):
    """A run of SimCLR as `pretrain` leaves it, with weights nobody has trained, and its dataset."""
    bounds = {"train": (0, 300), "validation": (300, 400), "test": (400, 500)}
    for name, (start, end) in bounds.items():
        part = Images(*(each[start:end] for each in digits))
        images.write(tmp_path / f"{name}.arrow", part, about(digits))
    settings = composed("simclr")
    method = assembled(settings, about(digits))
    encoder.save(tmp_path / "encoder.safetensors", method.encoder, settings["encoder"])
    rest = {k: v for k, v in weights.of(method).items() if not k.startswith("encoder.")}
    weights.write(tmp_path / "method.safetensors", rest, {"method": settings["method"]})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several blocks and several shares of a batch also where there are few images."""
    for module in (compressed, images):
        monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(loader, "SHARE", 7)
