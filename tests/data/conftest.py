"""Digits, encoded in small blocks."""

from pathlib import Path

import pytest

from support.encoded import kept
from unlabel.data import compressed, images, loader
from unlabel.data.images import Images


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several blocks and several shares of a batch also where there are few images."""
    for module in (compressed, images):
        monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(loader, "SHARE", 7)


@pytest.fixture
def png(digits: Images, tmp_path: Path, small_blocks: None) -> Images:
    return kept(digits, tmp_path / "spool")
