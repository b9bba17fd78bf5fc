"""What a person sees of a run: a live view in a terminal, a line a finished job in a file."""

import os
import pty
import re
import subprocess

import pytest
from PIL import Image

from snakemake_logger_plugin_unlabel.jobs import Job, Jobs
from support.project import STUDY, command, environment, project, snakemake

RUN = "data/runs/tiny/digits/simclr/base/0"
KNN = f"{RUN}/metrics/knn.json"


def job(rule: str, began: float, log=None) -> Job:
    return Job.of(rule, [f"{RUN}/run.json"], {}, [str(log)] if log else [], began)


def test_the_time_left_is_that_of_jobs_of_the_same_kind():
    jobs = Jobs()
    jobs.plan({"pretrain_simclr": 2, "pretrain_byol": 1, "report": 1, "all": 1, "total": 5})
    assert jobs.total == 4
    jobs.start(1, job("pretrain_simclr", began=0))
    jobs.start(2, job("pretrain_byol", began=0))
    assert jobs.left(5) is None
    ended, seconds = jobs.finish(1, now=10)
    assert (ended.name, seconds, jobs.done) == ("pretrain tiny/digits/simclr/base/0", 10, 1)
    # 4 s of the one that runs, 10 s of a training, and as long for a report, of which none is known
    assert jobs.left(6) == 4 + 10 + 10
    jobs.start(3, job("pretrain_simclr", began=10))
    assert jobs.left(10) == (0 + 10 + 10) / 2
    assert jobs.finish(9, now=11) is None


def test_jobs_that_a_checkpoint_adds_are_counted():
    jobs = Jobs()
    jobs.plan({"look": 1, "study": 1, "all": 1, "total": 3})
    jobs.start(1, job("look", began=0))
    jobs.finish(1, now=2)
    jobs.grow(3)
    assert (jobs.done, jobs.total) == (1, 2)
    jobs.grow(5)
    assert (jobs.done, jobs.total, jobs.left(2)) == (1, 4, 3 * 2)
    jobs.start(2, job("pretrain_byol", began=2))
    jobs.finish(2, now=6)
    jobs.grow(5)
    # a study, of which none is known, and another job that was added
    assert (jobs.done, jobs.total, jobs.left(6)) == (2, 4, 2 * 3)


def test_a_training_says_how_far_it_is(tmp_path):
    log = tmp_path / "log"
    log.write_text("simclr:  40% · 1,234 images/s · 12 s left · loss 5\n")
    jobs = Jobs()
    jobs.plan({"pretrain_simclr": 2})
    jobs.start(1, job("pretrain_simclr", began=0, log=log))
    assert jobs.running[1].progress() == (40, "1,234 images/s", 12)
    assert jobs.left(8) == 12 + (8 + 12)


def test_a_job_that_is_tried_again_has_not_failed(tmp_path):
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(30)))
    jobs = Jobs()
    jobs.start(1, job("probe", 0, log))
    jobs.fail(1, job("probe", 0, log))
    assert jobs.failed[1].error() == [f"line {n}" for n in range(15, 30)]
    log.write_text("a\nerror: first\nerror: last\nb\n")
    assert jobs.failed[1].error() == ["error: last"]
    jobs.start(1, job("probe", 5, log))
    jobs.finish(1, 6)
    assert not jobs.failed


def test_a_job_says_what_people_should_know(tmp_path):
    log = tmp_path / "log"
    lines = [f"note: pets: {n} left out, hidden: {'x' * 60}" for n in range(100)]
    log.write_text(
        "images: 100% · 2 images/s · 0 s left\n" + "\n".join(lines) + "\nsaid: note: no\n"
    )
    assert job("prepare", 0, log).notes() == [line.removeprefix("note: ") for line in lines]


def test_a_log_holds_nothing_that_a_terminal_obeys(tmp_path):
    log = tmp_path / "log"
    log.write_text("note: pets: \x1b]0;owned\x07.png\n\tin cat\x1b[2J.png\n")
    assert job("prepare", 0, log).notes() == [r"pets: \x1b]0;owned\x07.png"]
    assert job("prepare", 0, log).error()[-1] == r"        in cat\x1b[2J.png"


def test_in_a_file_what_was_prepared_follows_its_job(tmp_path):
    copy = project(tmp_path / "project", STUDY)
    (copy / "photos").mkdir()
    for n in range(12):
        Image.new("L", (9, 9), 20 * n).save(copy / f"photos/{n}.png")
    (copy / "photos/note.txt").write_text("x")
    words = ("data/prepared/folder/train.arrow", "--config", "dataset=folder", "path=photos")
    printed = snakemake(copy, "--cores", "1", *words).splitlines()
    at = next(n for n, line in enumerate(printed) if line.startswith("1 of 1 · prepare folder · "))
    assert printed[at + 1 : at + 5] == [
        "folder: 9 train, 1 validation, 2 test",
        "folder: no classes",
        "folder: 1 left out, no image by its name: note.txt",
        "folder: 12 of 12 have a single colour: 0.png, 1.png, 10.png, ...",
    ]
    for n in range(5):
        (copy / f"photos/{n}.png").write_bytes(b"x")
    printed = snakemake(copy, "--cores", "1", *words, fails=True).splitlines()
    assert printed[-1].startswith("error: 5 of 12 images cannot be read, more than unreadable=0.01")
    assert printed[-1].endswith("or remove them, or allow more, as in --config unreadable=0.5")


def test_in_a_file_each_finished_job_is_a_line_and_an_error_the_last(copy):
    (copy / KNN).unlink()
    printed = snakemake(copy, "--cores", "2", KNN).splitlines()
    assert printed[1] == "to do: 1 probe"
    assert re.fullmatch(r"1 of 1 · probe tiny/digits/simclr/base/0 · \d+ s", printed[2])
    assert re.fullmatch(r"1 of 1 done in .*", printed[3])
    assert len(printed) == 4
    (copy / KNN).unlink()
    stage = copy / "ssl/unlabel/stage/probe.py"
    broken = (
        'from unlabel.errors import UserError\n\n    raise UserError("it fails")\n    settings ='
    )
    stage.write_text(stage.read_text().replace("settings =", broken, 1))
    printed = snakemake(copy, "--cores", "2", KNN, fails=True)
    assert printed.splitlines()[-1] == "error: it fails"
    assert "its log is logs/probe/tiny-digits-simclr-base-0.log" in printed
    assert "CalledProcessError" not in printed


@pytest.mark.skipif(not hasattr(os, "forkpty"), reason="needs a terminal")
def test_in_a_terminal_there_is_one_live_view(copy):
    (copy / KNN).unlink()
    ours, theirs = pty.openpty()
    words = command("--cores", "2", KNN)
    running = subprocess.Popen(
        words, cwd=copy, env=environment(TERM="xterm"), stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            printed += os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
    os.close(ours)
    assert running.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode())
    assert "0 of 1 done" in text
    assert re.search(r"probe +tiny/digits/simclr/base/0 +\d+ s", text)
    assert re.match(r"1 of 1 done in \d+ s", text.strip().splitlines()[-1])
    assert "Select jobs" not in text
    assert printed.count(b"\x1b[?25l") == printed.count(b"\x1b[?25h") == 1  # the cursor comes back
