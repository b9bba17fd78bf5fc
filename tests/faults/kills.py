"""`kill -9`: of each kind of job, of what runs all jobs, and at random moments."""

import os
import random
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
from stages import STAGES, undo
from trial import Row, build, copied, differs, end, start, work

from support.project import STUDY, digests, project

TITLE = "kill -9"
# Long enough that a training has saved its state before it is killed.
LONGER = STUDY | {"methods": ["rotation"], "arms": {"base": ["training.epochs=150"]}}
WHOLE = ("Snakemake", "the server of forks", "all processes at once")
LATEST = 12.0  # seconds after the first job has begun
KILLS = 3  # of each of these, and of each stage's jobs
MOMENTS = 20
SOON = 0.3  # seconds after a job has begun; the shortest takes about as long
RETRIES = ("--retries", "50")


def inject(kills: int = KILLS, moments: int = MOMENTS) -> Iterator[Row]:
    """Each stage's jobs, then what runs all jobs, then any job; the moments depend on a seed."""
    rng = random.Random(0)
    for stage in STAGES:
        with copied() as folder:
            yield of_stage(folder, stage, kills, rng)
    with TemporaryDirectory(dir=work()) as name:
        undisturbed, killed = (project(Path(name) / each, LONGER) for each in ("whole", "killed"))
        ended = build(undisturbed, "all")
        assert ended.status == 0, ended.said
        for victim in WHOLE:
            times = sum(stop(killed, victim, rng) for _ in range(kills))
            yield row(victim, times, unlike(killed, undisturbed))
            undo(killed, ["data", "reports"])
        yield at_random(killed, undisturbed, moments, rng)


def of_stage(folder: Path, stage: str, kills: int, rng: random.Random) -> Row:
    """Kill jobs of a stage, and in turn their forks, soon after they begin, to be tried again."""
    target, undone = STAGES[stage]
    undo(folder, undone)
    times, seen = 0, set[int]()
    running = start(folder, *RETRIES, target)
    while running.poll() is None:
        begun = [
            each
            for each in jobs(folder)
            if each.log == stage and each.number not in seen and each.forks == times % 2
        ]
        if begun and times < kills:
            time.sleep(rng.uniform(0, SOON))
            times += kill(rng.choice(begun))
            # With a job ends its fork, and the other way round.
            seen |= {each.number for each in jobs(folder)}
        time.sleep(0.002)
    ended = end(running, folder)
    wrong = differs(folder) if ended.status == 0 else [ended.said[-900:]]
    if ended.status == 0 and not (folder / target).read_text().rstrip().endswith("</html>"):
        wrong.append(target)  # pages say how long a training took, so they are not the same bytes
    return row(f"a job of `{stage}`, which is tried again", times, wrong)


def row(victim: str, times: int, wrong: list[str]) -> Row:
    """It is a fault of ours, too, if nothing was killed."""
    return Row(victim, times, str(wrong or "same bits"), not wrong and times > 0)


def unlike(killed: Path, undisturbed: Path) -> list[str]:
    """What is wrong once the workflow has come to its end."""
    ended = build(killed, "all")
    here, there = digests(killed), digests(undisturbed)
    wrong = [str(path) for path in killed.glob("data/runs/**/.*.part*")]
    wrong += [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]
    if ended.status:
        wrong.append(ended.said[-900:])
    return wrong


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
        for each in here:
            kill(each)
    end(running, folder)
    return bool(here)


def at_random(killed: Path, undisturbed: Path, moments: int, rng: random.Random) -> Row:
    """Kill a job or the fork that does it, again and again, while Snakemake goes on."""
    times, wrong = Counter[str](), list[str]()
    while times.total() < moments and not wrong:
        undo(killed, ["data", "reports"])
        running = start(killed, *RETRIES, "all")
        while running.poll() is None:
            time.sleep(rng.uniform(0.2, 3))
            working = jobs(killed)
            if working and times.total() < moments:
                victim = rng.choice(working)
                stage = victim.log
                times[stage] += kill(victim)
                print(dict(times), file=sys.stderr, flush=True)
        end(running, killed)
        wrong = unlike(killed, undisturbed)
    each = ", ".join(f"{number} of {stage}" for stage, number in sorted(times.items()))
    return row(f"any job, at random moments ({each})", times.total(), wrong)


def jobs(folder: Path) -> list[Process]:
    """Those that do a job there: what Snakemake has started, and its fork."""
    return [each for each in of(folder) if each.log]


def kill(process: Process) -> bool:
    """Was it there to be killed?"""
    try:
        os.kill(process.number, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
