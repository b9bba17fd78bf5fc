"""Fashion-MNIST itself, an address at which nobody answers, and folders of images."""

import socket
from pathlib import Path

import pytest
import torchvision

from support import pixels
from support.prepared import LABELS, ROOT
from unlabel.dataset import fashion_mnist
from unlabel.dataset.fashion_mnist import FashionMNIST
from unlabel.errors import UserError


@pytest.fixture(scope="session")
def fetched(request: pytest.FixtureRequest) -> Path:
    """A folder with Fashion-MNIST's four archives, fetched once and kept in pytest's cache."""
    folder = ROOT / "data" / "raw" / "fashion_mnist"
    if not (folder / LABELS).exists():
        folder = request.config.cache.mkdir("fashion_mnist")
    try:
        FashionMNIST().load(folder)
    except UserError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """No place has the files: a mirror that nobody listens at, and no apt-get."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [url])
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "not installed")
    monkeypatch.setenv("PATH", "")
    return url


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Sixty images in three folders."""
    return pixels.folder(tmp_path / "classes", cat=range(20), dog=range(20, 40), emu=range(40, 60))
