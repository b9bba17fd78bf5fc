"""Jobs in Slurm: what is asked of them, and Snakemake that submits them."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from support.cluster import PATH
from support.project import STAND_IN, VARIANT, command, environment

RUN = f"data/runs/tiny/digits/{{}}/{VARIANT}/0"
SLURM = ("--profile", "workflow/profiles/slurm")


def ask(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def job(method: str) -> str:
    """The id of the training of a method that is in Slurm's queue."""
    rows = [row.split() for row in ask("squeue", "--noheader", "--format", "%A %k").splitlines()]
    (found,) = [number for number, about in rows if f"pretrain_{method}_" in about]
    return found


def saved(folder: Path, method: str) -> bool:
    """Has a training saved its state, and so is under way?"""
    return any((folder / RUN.format(method)).glob("state.*/state.safetensors"))


def log(folder: Path, method: str) -> str:
    """What the last attempt at a training has said."""
    return next((folder / "logs/pretrain" / method).iterdir()).read_text()


def requeue(number: str) -> None:
    ask("scontrol", "requeue", number)

    def starts() -> bool:  # at once, and not after the two minutes that Slurm lets it wait
        about = ask("scontrol", "show", "job", number)
        if "Reason=BeginTime" in about:
            ask("scontrol", "update", f"JobId={number}", "StartTime=now")
        return "Restarts=1 " in about and not re.search("COMPLETING|BeginTime", about)

    wait_for(starts)


def start(folder: Path, *arguments: str, forked: bool = True) -> subprocess.Popen:
    """Snakemake. What is forked ends as its job in Slurm ends, but is not stopped with it."""
    given = environment(**(STAND_IN if forked else {}))
    with (folder / "printed").open("w") as printed:
        streams = {"stdout": printed, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command(*arguments), cwd=folder, env=given, **streams)


def printed(folder: Path) -> str:
    return (folder / "printed").read_text()


def wait_for(what: Callable[[], bool], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def ranks(run: Path) -> list[dict[str, str]]:
    """The environments of the processes that train a run together, each with its number `pid`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "environ").read_bytes().decode(errors="replace")
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        variables = dict(each.partition("=")[::2] for each in text.split("\0"))
        if "LOCAL_RANK" in variables and str(run.relative_to(run.parents[6])) in command:
            found.append(variables | {"pid": entry.name})
    return found


def marks(folder: Path) -> dict[str, tuple[float, bytes]]:
    """What Snakemake, and we beside it, know of running jobs."""
    known = folder / ".snakemake"
    places = ("incomplete", "locks", "metadata", "unlabel/submitted", "alive")
    files = [file for place in places for file in [known / place, *(known / place).rglob("*")]]
    return {
        str(file): (file.stat().st_mtime, file.read_bytes()) for file in files if file.is_file()
    }


def without_slurm(folder: Path) -> str:
    """A PATH to all but Slurm's commands."""
    folder.mkdir()
    for place in reversed(PATH.split(os.pathsep)):
        for file in Path(place).iterdir() if Path(place).is_dir() else ():
            (folder / file.name).unlink(missing_ok=True)
            (folder / file.name).symlink_to(file)
    for name in ("sbatch", "sinfo", "squeue", "scancel"):
        (folder / name).unlink()
    return str(folder)
