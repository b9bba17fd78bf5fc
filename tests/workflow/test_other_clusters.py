"""The same jobs on a cluster that has only commands of its own, and on Kubernetes."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress

import pytest

from support import forks
from support.project import ROOT, digests, snakemake
from support.slurm_jobs import RUN, log, saved, start, wait_for
from unlabel.workflow import devices
from unlabel.workflow.engine import records

QUEUE = ROOT / "tests/support/queue"
COMMANDS = [("submit", "submit"), ("status", "status"), ("cancel", "cancel")]
GENERIC = [
    word for name, file in COMMANDS for word in (f"--cluster-generic-{name}-cmd", str(QUEUE / file))
]


@pytest.mark.parametrize(("profile", "commands"), [("cluster", GENERIC), ("kubernetes", [])])
def test_a_cluster_with_commands_of_its_own(longer, tmp_path, monkeypatch, profile, commands):
    """Interrupted, and started again."""
    copy = shutil.copytree(longer, tmp_path / "copy", symlinks=True)
    (tmp_path / "queue").mkdir()
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    monkeypatch.setenv("PATH", f"{QUEUE}:{os.environ['PATH']}")  # which has a kubectl
    for name in ("IMAGE", "CLAIM", "MOUNT"):
        monkeypatch.setenv(f"UNLABEL_{name}", str(tmp_path))
    shutil.rmtree(copy / RUN.format("rotation"))
    wanted = ["--profile", f"workflow/profiles/{profile}", *commands]
    monkeypatch.setenv(devices.STAND_INS, str(tmp_path))
    own = ("UNLABEL_CHECKPOINT_SECONDS", devices.STAND_INS)  # the test's
    wanted += ["--envvars", "UNLABEL_PLAN", *own]
    wanted += [
        "--seconds-between-status-checks",
        "1",
        "--",
        f"{RUN.format('rotation')}/metrics/knn.json",
    ]
    running = start(copy, *wanted)
    wait_for(lambda: saved(copy, "rotation") or running.poll() is not None)
    mark = copy / records.place(records.UNFINISHED, f"{RUN.format('rotation')}/run.json")
    assert (
        "/plan-" in json.loads(mark.read_text())["plan"]
    )  # so that no job left over overwrites it
    jobs = {path.parent.name: int(path.read_text()) for path in tmp_path.glob("queue/*/session")}
    for group in jobs.values():
        os.killpg(group, signal.SIGSTOP)  # or the training might be done before it is cancelled
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=120) != 0
    for job, group in jobs.items():
        # Snakemake itself misses a job if it was just asking for its status.
        subprocess.run([QUEUE / "cancel", job], check=True)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)
    assert not (copy / RUN.format("rotation") / "run.json").exists()
    place = wanted.index("--envvars") + 1
    wanted[place:place] = ["PYTHONPATH", forks.ENVIRONMENT]  # jobs may be forks from now on
    snakemake(copy, *wanted)
    assert "going on after step" in log(copy, "rotation")
    assert digests(copy).items() <= digests(longer).items()
    assert f"{RUN.format('rotation')}/metrics/knn.json" in digests(copy)


@pytest.mark.parametrize(
    ("profile", "command", "answer", "status", "state"),
    [
        ("kubernetes", "kubectl", "job-1 1 ", 0, "success"),
        ("kubernetes", "kubectl", "job-1  1", 0, "failed"),
        ("kubernetes", "kubectl", "job-1  ", 0, "running"),
        ("kubernetes", "kubectl", "", 0, "failed"),  # deleted
        ("kubernetes", "kubectl", "net/http: TLS handshake timeout", 1, "running"),
        ("cluster", "qstat", "job_state = F\n Exit_status = 0", 0, "success"),
        ("cluster", "qstat", "job_state = F\n Exit_status = 1", 0, "failed"),
        ("cluster", "qstat", "job_state = R", 0, "running"),
        ("cluster", "qstat", "qstat: Unknown Job Id job-1", 153, "failed"),  # deleted
        ("cluster", "qstat", "Connection refused\nqstat: cannot connect", 111, "running"),
        ("cluster", "qstat", "qstat: PBS is not configured to maintain job history", 170, ""),
    ],
)
def test_a_cluster_that_does_not_answer_is_asked_again(
    tmp_path, profile, command, answer, status, state
):
    """Snakemake ends the whole workflow if a command for the state of a job fails."""
    stream = " >&2" if status else ""
    script = f"#!/bin/sh\ncat <<END{stream}\n{answer}\nEND\nexit {status}\n"
    (tmp_path / command).write_text(script)
    (tmp_path / command).chmod(0o755)
    asked = subprocess.run(
        [ROOT / f"workflow/profiles/{profile}/status", "job-1"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert asked.stdout.strip() == state
    assert (asked.returncode == 0) == bool(state)
    if status:
        assert answer in asked.stderr  # so that people see it
