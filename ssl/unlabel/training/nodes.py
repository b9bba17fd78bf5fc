"""A stage run on several machines of a Slurm job: srun starts one torchrun on each."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from unlabel import files
from unlabel.errors import UserError
from unlabel.training import launch
from unlabel.training.launch import Failed, Failure

MEETING = "UNLABEL_NODES_MEET"  # where the torchruns meet, HOST:PORT; only srun's processes have it

START = 600  # seconds that a machine may take to load this program, and so the others wait


def one() -> bool:
    """Is this the process that starts a torchrun on one of several machines?"""
    return MEETING in os.environ


def over(nodes: int, told: Path, stage: str, **flags: launch.Flag) -> None:
    """Run a stage on all machines of this Slurm job. They end when one fails, or this process does.

    The folder `told` is for what the machines tell this one. Raises `UserError` outside Slurm, and
    if a process raises it or is killed.
    """
    if "SLURM_JOB_ID" not in os.environ or not shutil.which("srun"):
        raise UserError(
            f"training.nodes is {nodes}, but this is no job of Slurm; start the workflow with "
            "--profile workflow/profiles/slurm, or set training.nodes to 1"
        )
    shutil.rmtree(told, ignore_errors=True)  # of an earlier attempt
    told.mkdir(parents=True)
    command = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    command += ["--kill-on-bad-exit=1", "--input=none", "--quiet", "--cpu-bind=none"]
    command += [sys.executable, "-m"]
    with socket.socket() as free:
        free.bind(("", 0))
        meeting = f"{socket.gethostname()}:{free.getsockname()[1]}"
    environment = os.environ | {MEETING: meeting}
    running = subprocess.Popen([*command, *launch.words(stage, flags)], env=environment)

    def pass_on(number: int, _: FrameType | None) -> None:
        running.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    if status := running.wait():
        _explain(status, told, nodes)


def launch_here(nodes: int, processes: int, told: Path, stage: str, **flags: launch.Flag) -> None:
    """Start the processes of this machine, which meet those of the others. Exits if some fail."""
    first = os.environ["SLURM_PROCID"] == "0"  # on the machine of the process that called srun
    where = ["--nnodes", str(nodes), "--rdzv-backend", "c10d", "--max-restarts", "0"]
    where += ["--rdzv-endpoint", os.environ[MEETING], "--rdzv-id", os.environ["SLURM_JOB_ID"]]
    where += ["--local-addr", socket.gethostname()]  # not localhost, as /etc/hosts may say
    where += ["--rdzv-conf", f"is_host={int(first)},read_timeout={START}"]
    failures: Sequence[Failure] = ()
    try:
        launch.torchrun(processes, launch.words(stage, flags), where)
    except Failed as error:
        failures = error.failures
    except Exception as error:  # they have not met
        extra = {"py_callstack": traceback.format_exc(), "timestamp": "0"}
        said = f"{type(error).__name__}: {error}"
        failures = [Failure(0, 1, "", {"message": said, "extraInfo": extra})]
    if failures:
        files.write_json(told / f"{os.environ['SLURM_PROCID']}.json", [*map(asdict, failures)])
        sys.exit(1)


def _explain(status: int, told: Path, nodes: int) -> None:
    failures = [
        Failure(**each)
        for path in sorted(told.glob("*.json"))
        for each in json.loads(path.read_text(encoding="utf-8"))
    ]
    if failures:
        launch.explain(failures)
    if status in (128 + signal.SIGTERM, -signal.SIGTERM):
        raise SystemExit(128 + signal.SIGTERM)  # they were asked to stop, and have said so
    raise UserError(
        f"srun ended with status {status} on {nodes} machines: it could not start there, or one of "
        "them failed, and the lines above say why; start again to go on from the last saved state"
    )
