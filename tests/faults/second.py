"""`kill -9` at random moments of builds that change what was built before."""

import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from kills import LATEST, LONGER, row, unlike
from processes import end_all, forks
from trial import Row, build, start, work

from support.project import project

TITLE = "kill -9 of a second build"
MOMENTS = 20


def inject(moments: int = MOMENTS) -> Iterator[Row]:
    """A recipe is changed, and changed back whenever a build has come to its end."""
    with TemporaryDirectory(dir=work()) as name:
        before = project(Path(name) / "before", LONGER)
        after = project(Path(name) / "after", LONGER)
        change(after)
        for folder in (before, after):
            ended = build(folder, "all")
            assert ended.status == 0, ended.said
        killed = shutil.copytree(before, Path(name) / "killed", symlinks=True)
        yield at_random(killed, [after, before], moments, random.Random(0))


def at_random(killed: Path, wanted: list[Path], moments: int, rng: random.Random) -> Row:
    """Kill Snakemake, or all at once, again and again; what is `wanted` takes turns."""
    times, wrong, builds = Counter[str](), list[str](), 0
    while times.total() < moments and not wrong:
        change(killed)
        done = False
        while times.total() < moments and not done:
            running = start(killed, "all")
            while running.poll() is None and not forks(killed):
                time.sleep(0.05)
            with suppress(subprocess.TimeoutExpired):
                running.wait(rng.uniform(0, LATEST))
            if not (done := running.poll() is not None):
                victim = rng.choice(["Snakemake", "all processes at once"])
                running.kill() if victim == "Snakemake" else end_all(killed)
                running.wait()
                times[victim] += 1
        wrong = unlike(killed, wanted[builds % 2])
        if "Nothing to be done" not in build(killed, "-n", "all").said:
            wrong.append("something is left to do")
        builds += 1
    each = ", ".join(f"{number} of {victim}" for victim, number in sorted(times.items()))
    what = f"at random moments, while the recipe changed {builds} times in all ({each})"
    return row(what, times.total(), wrong)


def change(folder: Path) -> None:
    """Change a recipe that all trainings depend on, or change it back."""
    path = folder / "params/budget/tiny.yaml"
    text, old, new = path.read_text(), "lr: 2e-3", "lr: 3e-3"
    assert (old in text) != (new in text)
    path.write_text(text.replace(old, new) if old in text else text.replace(new, old))
