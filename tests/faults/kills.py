"""`kill -9` at random moments of whole reproductions, of each kind of process."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Process, end_all, forks, of
from trial import Row, build, end, start, work

from project import STUDY, digests, project

TITLE = "kill -9"
# Long enough that a training has saved its state before it is killed.
LONGER = STUDY | {"methods": ["rotation"], "arms": {"base": ["training.epochs=150"]}}
WHOLE = ("Snakemake", "the server of forks", "all processes at once")
LATEST = 12.0  # seconds after the first job has begun
KILLS = 3  # of each of these
JOBS = 3  # processes of each kind of job to kill in one reproduction
RETRIES = ("--retries", "50", "all")


def inject(kills: int = KILLS, jobs: int = JOBS) -> Iterator[Row]:
    """First what runs all jobs, then jobs and their forks; the moments depend on a seed."""
    rng = random.Random(0)
    with TemporaryDirectory(dir=work()) as name:
        undisturbed, killed = (project(Path(name) / each, LONGER) for each in ("whole", "killed"))
        ended = build(undisturbed, "all")
        assert ended.status == 0, ended.said
        for victim in WHOLE:
            times = sum(stop(killed, victim, rng) for _ in range(kills))
            yield row(victim, times, killed, undisturbed)
            for made in ("data", "reports"):
                shutil.rmtree(killed / made)
        times = one_by_one(killed, jobs, rng)
        each = ", ".join(f"{number} of {stage}" for stage, number in sorted(times.items()))
        yield row(f"jobs, which are tried again ({each})", times.total(), killed, undisturbed)


def row(victim: str, times: int, killed: Path, undisturbed: Path) -> Row:
    """Let the workflow come to its end, and compare."""
    ended = build(killed, "all")
    here, there = digests(killed), digests(undisturbed)
    wrong = [str(path) for path in killed.glob("data/runs/**/.*.part*")]
    wrong += [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]
    if ended.status:
        wrong.append(ended.said[-900:])
    return Row(victim, times, str(wrong or "same bits"), not wrong)


def stop(folder: Path, victim: str, rng: random.Random) -> bool:
    """Start the workflow, and kill what runs it; was it there?"""
    running = start(folder, "all")
    while running.poll() is None and not forks(folder):
        time.sleep(0.05)
    with suppress(subprocess.TimeoutExpired):
        running.wait(rng.uniform(0, LATEST))
    here = of(folder)
    if victim == "all processes at once":
        end_all(folder)
    elif victim == "Snakemake":
        running.kill()
    else:
        working = forks(folder)
        here = [each for each in here if each.forks and each not in working]
        kill(here)
    end(running, folder)
    return bool(here)


def one_by_one(folder: Path, jobs: int, rng: random.Random) -> Counter[str]:
    """Kill jobs, and the forks that do them, while Snakemake goes on; how many of each stage?"""
    times: Counter[str] = Counter()
    running = start(folder, *RETRIES)
    while running.poll() is None:
        time.sleep(rng.uniform(0.2, 3))
        asking = [each for each in of(folder) if each.stage]
        stage = asking[0].stage if len(asking) == 1 else "any stage"
        victims = [(each, each.stage) for each in asking]
        victims += [(each, f"the fork of {stage}") for each in forks(folder)]
        if victims := [each for each in victims if times[each[1]] < jobs]:
            victim, name = rng.choice(victims)
            kill([victim])
            times[name] += 1
            print(dict(times), file=sys.stderr, flush=True)
    end(running, folder)
    return times


def kill(processes: list[Process]) -> None:
    """At once."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each.number, signal.SIGKILL)
