"""A copy of the package, to be edited."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.edits import forget, source
from unlabel.fingerprint import reach


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("package") / "unlabel"
    return shutil.copytree(reach.PACKAGE, there, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def package(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, whose files are put back after the test."""
    monkeypatch.setattr(reach, "PACKAGE", copied)
    monkeypatch.setattr(reach, "Source", source)
    forget()
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    yield copied
    for path in [path for path in copied.rglob("*") if path.is_file()]:
        if path not in before:
            path.unlink()
        elif path.read_bytes() != before[path]:
            path.write_bytes(before[path])
    monkeypatch.undo()
    forget()
