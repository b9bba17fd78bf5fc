"""A job that was left behind does not overwrite what another one makes or has made."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.project import environment
from unlabel import files
from unlabel.errors import UserError
from unlabel.workflow.engine import records, wanted

TARGET = "data/runs/output.json"
PLANS = "/plan-a.json", "/plan-b.json"


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(wanted.PLAN, PLANS[0])
    monkeypatch.setattr(files, "guards", [])
    wanted.install()
    files.write_json(Path(TARGET), "before")
    return tmp_path


def write(folder: Path, content: dict, target: str = TARGET) -> None:
    place = records.place(folder, target)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))


@pytest.mark.parametrize("plan", [{"plan": PLANS[0]}, {"plan": None}, {}])
def test_a_job_writes_what_its_own_workflow_waits_for(job, plan):
    write(records.RECORDS, {"rule": "probe"})  # of what was there before
    write(records.UNFINISHED, {"external_jobid": None, **plan})
    files.write_json(Path(TARGET), "after")
    assert json.loads(Path(TARGET).read_text()) == "after"
    assert list(wanted.LOCKS.iterdir()) == []


@pytest.mark.parametrize("there", ["another's mark", "a record"])
def test_a_job_that_was_left_behind_writes_nothing(job, there):
    if there == "a record":
        write(records.RECORDS, {"rule": "probe"})
    else:
        write(records.UNFINISHED, {"external_jobid": None, "plan": PLANS[1]})
    with pytest.raises(UserError, match="this job is left over|this one is left over"):
        files.write_json(Path(TARGET), "after")
    assert json.loads(Path(TARGET).read_text()) == "before"
    assert [path.name for path in Path(TARGET).parent.iterdir()] == ["output.json"]


HOLD = """
import sys
from pathlib import Path
from unlabel.files import lock
with lock.acquire(Path(sys.argv[1]), ""):
    print("held", flush=True)
    input()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process holds a lock."""
    words = [sys.executable, "-c", HOLD, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield
        process.kill()


@pytest.mark.parametrize("plan", PLANS)
def test_of_two_jobs_that_write_one_output_the_second_waits_or_ends(copy, plan):
    """A real probe, with the command that a Snakemake gave it; while it waits, `plan` marks it."""
    metrics = "data/runs/tiny/digits/random/base/0/metrics"
    target = f"{metrics}/knn.json"
    record = json.loads((copy / records.place(records.RECORDS, target)).read_text())
    log, before = copy / record["log"][0], (copy / target).read_bytes()
    for path in (copy / metrics).glob("*.json"):
        write(copy / records.UNFINISHED, {"plan": PLANS[0]}, f"{metrics}/{path.name}")
    (copy / target).write_text("before")
    log.unlink()
    given = environment(**{wanted.PLAN: PLANS[0], "PYTHONPATH": str(copy / "ssl")})
    with held(copy / records.place(wanted.LOCKS, target)):
        second = subprocess.Popen(record["shellcmd"], shell=True, cwd=copy, env=given)
        until = time.monotonic() + 60
        while f"waiting for another process, which writes {target}" not in said(log):
            assert time.monotonic() < until
            time.sleep(0.02)
        write(copy / records.UNFINISHED, {"plan": plan}, target)
        assert second.poll() is None
    assert second.wait() == (plan != PLANS[0])
    if plan == PLANS[0]:
        assert (copy / target).read_bytes() == before
    else:
        assert f"error: {target} is made by another workflow by now; this job is" in said(log)
        assert (copy / target).read_text() == "before"


def said(log: Path) -> str:
    return log.read_text() if log.exists() else ""
