"""Running trainings are shown, here and on other machines."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.project import environment
from unlabel.command import watch
from unlabel.files import lock
from unlabel.training.followers import STATUS

TABLE = """\
run                          epoch         loss     kNN  images/s  left
───────────────────────────────────────────────────────────────────────
quick/digits/gan/base/0   3.2 of 6  0.51, 0.612  78.1 %     1,234  31 s
quick/digits/moco/base/0  0.0 of 6            –  50.0 %         –     –
"""


def status(runs: Path, run: str, **values: float) -> Path:
    """What a training of `run` says of itself; the path of its lock."""
    folder = runs / run / "state.0123"
    folder.mkdir(parents=True)
    known = {"run": run, "epoch": 0.0, "epochs": 6, "images_per_second": 0.0, "seconds_left": 0.0}
    (folder / STATUS).write_text(json.dumps(known | values))
    return folder / "lock"


@pytest.fixture
def running(tmp_path):
    """Two that run, of which one is elsewhere; one that was killed here, and one elsewhere."""
    rate = {"epoch": 3.2, "images_per_second": 1234.4, "seconds_left": 31.2}
    here = status(
        tmp_path, "quick/digits/gan/base/0", **rate, loss_1=0.51, loss_2=0.612, knn=0.7812
    )
    status(tmp_path, "quick/digits/moco/base/0", knn=0.5).write_text("7 elsewhere")
    status(tmp_path, "quick/digits/dino/base/0", knn=0.5).write_text(f"7 {os.uname().nodename}")
    dead = status(tmp_path, "quick/digits/byol/base/0", knn=0.5)
    dead.write_text("8 elsewhere")
    os.utime(dead, (time.time() - 1000,) * 2)
    with lock.acquire(here, "trains"):
        yield tmp_path


def test_a_file_gets_those_that_run_once(running, capsys):
    watch.run(running)
    assert capsys.readouterr().out == TABLE
    watch.run(running / "quick")
    assert capsys.readouterr().out == f"no training is running below {running}/quick\n"


def test_without_labels_the_effective_rank_is_there(tmp_path, capsys):
    status(tmp_path, "quick/mine/moco/base/0", effective_rank=12.34).write_text("7 elsewhere")
    watch.run(tmp_path)
    assert "rank" in (out := capsys.readouterr().out)
    assert "12.3" in out
    assert "kNN" not in out


def test_a_terminal_shows_them_until_ctrl_c(running):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "unlabel", "watch", "--runs", str(running)]
    given = environment(PYTHONPATH=str(Path(watch.__file__).parents[2]), TERM="xterm")
    process = subprocess.Popen(command, stdout=slave, stderr=subprocess.PIPE, env=given)
    shown = b""
    while shown.count(b"gan") < 2:  # it is drawn again
        shown += os.read(master, 10_000)
    process.send_signal(signal.SIGINT)
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()
    os.close(master)
    os.close(slave)
