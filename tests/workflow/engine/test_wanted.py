"""A job that was left behind does not overwrite what another one makes or has made."""

import json
from pathlib import Path

import pytest

from unlabel import files
from unlabel.errors import UserError
from unlabel.workflow.engine import records, wanted

TARGET = "data/runs/output.json"


@pytest.fixture(autouse=True)
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(wanted.PLAN, "/plan-a.json")
    monkeypatch.setattr(files, "check_wanted", [])
    wanted.install()
    files.write_json(Path(TARGET), "before")


def write(folder: Path, content: dict) -> None:
    place = records.place(folder, TARGET)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))


@pytest.mark.parametrize("plan", [{"plan": "/plan-a.json"}, {"plan": None}, {}])
def test_a_job_writes_what_its_own_workflow_waits_for(plan):
    write(records.RECORDS, {"rule": "probe"})  # of what was there before
    write(records.UNFINISHED, {"external_jobid": None, **plan})
    files.write_json(Path(TARGET), "after")
    assert json.loads(Path(TARGET).read_text()) == "after"


@pytest.mark.parametrize("there", ["another's mark", "a record"])
def test_a_job_that_was_left_behind_writes_nothing(there):
    if there == "a record":
        write(records.RECORDS, {"rule": "probe"})
    else:
        write(records.UNFINISHED, {"external_jobid": None, "plan": "/plan-b.json"})
    with pytest.raises(UserError, match="this job is left over|this one is left over"):
        files.write_json(Path(TARGET), "after")
    assert json.loads(Path(TARGET).read_text()) == "before"
    assert [path.name for path in Path(TARGET).parent.iterdir()] == ["output.json"]
