"""Thousands of runs in one workflow: no run is lost, and nothing grows."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from processes import of
from trial import Row, end, start, work

from project import STUDY, project

TITLE = "Soak"
RUNS = int(os.environ.get("UNLABEL_SOAK", "2000"))
TINIEST = STUDY | {
    "methods": ["rotation"],
    "settings": ["training.images=64", "training.epochs=1"],
    "metric": "log.effective_rank",
}
PAGE = "reports/study/test.html"
SECONDS = 2.0  # between looks


class Look(NamedTuple):
    """What there was at a moment."""

    seconds: float
    done: int  # runs
    memory: int  # of Snakemake, in bytes
    handles: int
    server_memory: int  # of the server of forks
    server_handles: int


def inject(runs: int = RUNS) -> Iterator[Row]:
    """A study of so many trainings of one step, each of another seed, and its page."""
    with TemporaryDirectory(dir=work()) as name:
        folder = project(Path(name) / "soak", TINIEST | {"seeds": list(range(runs))})
        began, looks = time.monotonic(), []
        running = start(folder, PAGE)
        while running.poll() is None:
            if look := _look(folder, running.pid, time.monotonic() - began):
                looks.append(look)
            time.sleep(SECONDS)
        ended = end(running, folder)
        seconds = time.monotonic() - began
        results = len(list(folder.glob("data/runs/*/*/*/*/*/run.json")))
        well = ended.status == 0 and results == runs
        told = f"{results:,} results and their page in {seconds / 60:.1f} min"
        yield Row("runs in one study", runs, told if well else ended.said[-900:], well)
    # from when all is loaded and planned
    looks = [look for look in looks if look.done > 0.1 * runs]
    for what, field, most in (
        ("Snakemake's memory", "memory", 1.1),
        ("Snakemake's open files", "handles", 1.1),
        ("the fork server's memory", "server_memory", 1.1),
        ("the fork server's open files", "server_handles", 1.1),
    ):
        yield flat(what, [getattr(look, field) for look in looks], most)
    print(json.dumps([look._asdict() for look in looks[:: max(1, len(looks) // 20)]]), flush=True)


def flat(what: str, values: list[int], most: float) -> Row:
    """Does it stay what it was? By the medians of the first and the last fifth."""
    fifth = max(1, len(values) // 5)
    first, last = (sorted(part)[fifth // 2] for part in (values[:fifth], values[-fifth:]))
    scale, unit = (1 << 20, " MiB") if "memory" in what else (1, "")
    told = f"{first / scale:.0f}{unit} at first, {last / scale:.0f}{unit} in the end"
    told += f"; at most {max(values) / scale:.0f}{unit}"
    return Row(what, len(values), told, last <= most * first)


def _look(folder: Path, snakemake: int, seconds: float) -> Look | None:
    here = {each.number: each for each in of(folder)}
    servers = [each for each in here.values() if each.forks and each.parent == snakemake]
    if snakemake not in here or not servers:
        return None
    main, server = here[snakemake], servers[0]
    done = len(list((folder / "logs/pretrain/rotation").glob("*")))
    return Look(seconds, done, main.memory, main.handles, server.memory, server.handles)
