"""A file is whole or not there, and nobody's left parts stay."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.properties import tried
from unlabel import files


def stop(part):
    part.write_text("half")
    raise KeyboardInterrupt


def test_what_fails_halfway_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), files.whole(path) as part:
        stop(part)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_parts_of_killed_processes_are_cleared_away_and_no_others(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here, dead = platform.node(), ended.pid
    gone = [f".b.{here}-{dead}.part.txt", f".c.d.{here}-{dead}.part"]
    kept = [f".b.{here}-{os.getppid()}.part.txt", f".b.not-{here}-{dead}.part.txt", ".b.part"]
    for name in gone + kept:
        (tmp_path / name).touch()
    files.write_text(tmp_path / "a.txt", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "a.txt"])


def half_written(path: Path) -> None:
    with files.whole(path) as part:
        part.write_text("half")
        raise ZeroDivisionError


@tried
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40)
)
def test_a_file_of_any_name_is_written_whole(name, tmp_path):
    assume(name not in (".", "..") and len(name.encode()) < 150)
    folder = tmp_path / "out"
    shutil.rmtree(folder, ignore_errors=True)
    files.write_text(folder / name, name)
    assert [path.name for path in folder.iterdir()] == [name]
    with pytest.raises(ZeroDivisionError):
        half_written(folder / name)
    assert [path.read_bytes() for path in folder.iterdir()] == [name.encode()]
