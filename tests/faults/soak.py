"""Thousands of runs in one workflow: no run is lost, and nothing grows."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import yaml
from processes import of
from trial import Row, build, end, start, work

from support.project import STUDY, project

TITLE = "Soak"
RUNS = int(os.environ.get("UNLABEL_SOAK", "2000"))
TINIEST = STUDY | {
    "methods": ["rotation"],
    "settings": ["training.images=64", "training.epochs=1"],
    "metric": "log.effective_rank",
}
RUNS_AT = "data/runs/*/*/*/*/*"
PAGE = "reports/study/test.html"
SECONDS = 2.0  # between looks
MOST = 60.0 * float(os.environ.get("UNLABEL_SOAK_MINUTES", "60"))  # then it is told to stop


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
            seconds = time.monotonic() - began
            if look := _look(folder, running.pid, seconds):
                looks.append(look)
            if seconds > MOST:
                running.send_signal(signal.SIGINT)
                running.wait()
            time.sleep(SECONDS)
        ended = end(running, folder)
        minutes = (time.monotonic() - began) / 60
        results = sorted(int(path.parent.name) for path in folder.glob(f"{RUNS_AT}/run.json"))
        load = f"{os.getloadavg()[2]:.0f} on {os.cpu_count()} cores"
        told = f"{len(results):,} of {runs:,} runs in {minutes:.1f} min; load of the machine {load}"
        if ended.status:  # stopped: the page of those that are there
            study = TINIEST | {"seeds": results}
            (folder / "params/study/test.yaml").write_text(yaml.safe_dump(study))
            ended = build(folder, PAGE)
        shown = json.loads((folder / PAGE).with_suffix(".json").read_text())
        well = ended.status == 0 and str(len(results)) in json.dumps(shown)
        yield Row("runs in one study, then its page", len(results), told, well)
    # from when all is loaded and planned
    looks = [look for look in looks if look.done > 0.1 * len(results)]
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
    return Row(f"{what}, looks", len(values), told, last <= most * first)


def _look(folder: Path, snakemake: int, seconds: float) -> Look | None:
    here = {each.number: each for each in of(folder)}
    servers = [each for each in here.values() if each.forks and each.parent == snakemake]
    if snakemake not in here or not servers:
        return None
    main, server = here[snakemake], servers[0]
    done = len(list((folder / "logs/pretrain/rotation").glob("*")))
    return Look(seconds, done, main.memory, main.handles, server.memory, server.handles)
