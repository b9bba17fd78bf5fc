"""Why runs are not finished, from the logs of the jobs that this Snakemake has run."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from unlabel.workflow.engine.failed_jobs import Failures


def test_what_an_earlier_attempt_said_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rule, report = SimpleNamespace(name="pretrain_byol"), SimpleNamespace(name="report")
    jobs = [SimpleNamespace(rule=report, output=["reports/index.html"], log=[])]
    for seed in "01":
        out = f"data/runs/tiny/digits/byol/base/{seed}/encoder.safetensors"
        jobs.append(SimpleNamespace(rule=rule, output=[out], log=[f"{seed}.log"]))
        Path(f"{seed}.log").write_text("error: an old reason\n")
    dag = SimpleNamespace(needrun_jobs=lambda: jobs)
    failures = Failures(SimpleNamespace(rules=[rule, report], dag=dag))
    Path("0.log").unlink()  # as Snakemake does before it starts a job
    Path("0.log").write_text("line\nerror: a new reason\n")
    assert failures.unfinished("report") == {}
    failed = logging.makeLogRecord({"event": "job_error"})
    failures.emit(failed)
    why = {run.seed: reason for run, reason in failures.unfinished("report").items()}
    assert why == {0: "a new reason", 1: "it is not finished"}
