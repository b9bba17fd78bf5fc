"""A damaged file is read or refused, and nothing else happens; `tests/fuzz` tries many more."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.campaign import Counts, main, report, round_
from fuzz.isolate import Finding, tried
from fuzz.targets import TARGETS

EACH = 60  # inputs of a reader


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name):
    found = round_(name, range(EACH))
    assert found.findings == []
    assert found.tried == EACH
    assert found.refused > EACH / 10  # or else nothing was damaged


def allocate(number: int) -> bool:
    return len(bytes(1 << 30)) == number


def hang(_: int) -> bool:
    while True:
        pass


def crash(_: int) -> bool:
    os.kill(os.getpid(), signal.SIGSEGV)
    return False


def connect(_: int) -> bool:
    with socket.socket() as closed:
        closed.connect_ex(("127.0.0.1", 9))
    return False


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda _: 1 / 0 > 0, "ZeroDivisionError at test_fuzz.py"),
        (allocate, "MemoryError"),
        (hang, "took more than 0.5 s of the processor"),
        (crash, "os.kill|SIGSEGV"),
        (lambda _: sys.exit(0), "SystemExit"),
        (lambda _: os._exit(3), "ended the process with 3"),
        (lambda _: bool(subprocess.run(["true"])), "subprocess.Popen"),
        (lambda _: os.system("true") > 0, "os.system"),
        (lambda _: bool(Path("../outside").write_text("")), "open for writing '../outside'"),
        (lambda _: Path("../outside").mkdir() is not None, "os.mkdir"),
        (lambda _: Path("../a").rename("b") is not None, "os.rename"),
        (lambda _: Path("../outside").symlink_to("a") is not None, "os.symlink"),
        (connect, "socket.connect"),
    ],
)
def test_harm_is_noticed(harm, said, tmp_path):
    (tmp_path / "in").mkdir()
    found = tried(harm, [7], tmp_path / "in", seconds=0.5, memory=1 << 29)
    ((number, what),) = found.findings
    assert number == 7
    assert any(each in what for each in said.split("|")), what


def test_what_comes_after_a_crash_is_tried_too(tmp_path):
    found = tried(lambda at: at == 1 or (at == 2 and os._exit(3)), range(5), tmp_path)
    assert found.findings == [Finding(2, "it ended the process with 3")]
    assert (found.count, found.refused) == (5, 1)


def test_a_campaign_of_some_minutes_says_what_it_tried(tmp_path):
    record = tmp_path / "record.md"
    assert main(["idx", "weights", "--minutes", "0.001", "--record", str(record)]) == 0
    assert "| idx | 100 | 100 | 0 |" in record.read_text()
    told = report({"png": Counts(3, 1, 2, 1 << 20, [Finding(1, "bad"), Finding(2, "bad")])}, 1)
    assert "png 1 (2 times): bad" in told
