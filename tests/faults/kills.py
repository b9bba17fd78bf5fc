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

from processes import Process, forks, of
from trial import Row, build, end, start, work

from project import STUDY, digests, project

TITLE = "kill -9"
# Long enough that a training has saved its state before it is killed.
LONGER = STUDY | {"methods": ["rotation"], "arms": {"base": ["training.epochs=150"]}}
STAGES = {  # of a process that asks for a fork, and the longest wait after it has come up
    "a training": (("pretrain",), 4.0),
    "features, a probe or fine-tuning": (("features", "probe", "finetune", "prepare"), 1.0),
    "a page": (("report", "method"), 2.0),
}
WHOLE = {"Snakemake": 12.0, "the server of forks": 12.0, "all processes at once": 12.0}
KILLS = 3  # of each kind, at least
MOMENTS = 21  # of all together
PATIENCE = 60  # seconds until a process to kill comes up


def inject(kills: int = KILLS, moments: int = MOMENTS) -> Iterator[Row]:
    """Build again and again, and kill what has been killed least; the moments depend on a seed."""
    times: Counter[str] = Counter(dict.fromkeys([*STAGES, *WHOLE], 0))
    finished, wrong, resumed = 0, [], 0
    rng = random.Random(0)
    with TemporaryDirectory(dir=work()) as name:
        undisturbed, killed = (project(Path(name) / each, LONGER) for each in ("whole", "killed"))
        ended = build(undisturbed, "all")
        assert ended.status == 0, ended.said
        while min(times.values()) < kills or times.total() < moments:
            victim = min(times, key=lambda each: (times[each] >= kills, rng.random()))
            running = start(killed, "all")
            times[victim] += kill(running, killed, victim, rng)
            ended = end(running, killed)
            print(dict(times), file=sys.stderr, flush=True)
            resumed += len(list(killed.glob("data/runs/**/state.safetensors")))
            if ended.status == 0:
                finished += 1
                wrong += differences(killed, undisturbed)
                for folder in ("data", "reports"):
                    shutil.rmtree(killed / folder)
        ended = build(killed, "all")
        wrong += differences(killed, undisturbed) if ended.status == 0 else [ended.said[-500:]]
    for victim, number in times.items():
        yield Row(victim, number, "same bits" if not wrong else "see below", not wrong)
    told = f"{finished + 1} reproductions; {resumed} states of a training found to go on from"
    yield Row("all of these", times.total(), f"{told}: {wrong or 'same bits'}", not wrong)


def differences(killed: Path, undisturbed: Path) -> list[str]:
    """Results that differ, and parts of files that nobody has cleared away."""
    here, there = digests(killed), digests(undisturbed)
    left = [str(path) for path in killed.glob("data/runs/**/.*.part*")]
    return left + [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]


def kill(running: subprocess.Popen, folder: Path, victim: str, rng: random.Random) -> bool:
    """Wait until a victim comes up and a while longer, then kill it; was it there?"""
    wait = WHOLE.get(victim) or STAGES[victim][1]
    until = time.monotonic() + PATIENCE
    while not (found := victims(running, folder, victim)):
        if running.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.01)
    time.sleep(rng.uniform(0, wait))
    found = victims(running, folder, victim) if victim in WHOLE else found
    for each in found if victim not in STAGES else [rng.choice(found)]:
        with suppress(ProcessLookupError):
            os.kill(each.number, signal.SIGKILL)
    return bool(found)


def victims(running: subprocess.Popen, folder: Path, victim: str) -> list[Process]:
    """The processes of a kind that work in the folder; of a stage, also the fork that does it."""
    here, working = of(folder), forks(folder)
    if victim == "Snakemake":
        return [each for each in here if each.number == running.pid]
    if victim == "the server of forks":
        return [each for each in here if each.forks and each not in working]
    if victim not in STAGES:
        return here
    asking = [each for each in here if each.stage in STAGES[victim][0]]
    alone = all(each in asking for each in here if each.stage)
    return asking + (working if asking and alone else [])
