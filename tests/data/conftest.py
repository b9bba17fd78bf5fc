"""Digits, encoded in small blocks."""

from pathlib import Path

import pytest

from support.encoded import kept
from unlabel.data.images import Images


@pytest.fixture
def png(digits: Images, tmp_path: Path, small_blocks: None) -> Images:
    return kept(digits, tmp_path / "spool")
