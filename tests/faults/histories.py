"""Random histories: whatever people and machines do between builds, the last one has the bits of a
clean one, and nothing is left to do after it.

A seed chooses everything but the machine's pace, and a failure names its steps. Hypothesis would
shrink it, but has to live it through again for that, a minute each time and at another pace.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

from processes import end_all
from smallest import EDITS, FIRST, PAGE, Clean, served, unlike, write
from trial import Row, end, start, work

from support import forks
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS

TITLE = "Random histories"
NUMBER, STEPS = 200, 6
LONGEST = 6.0  # seconds until a build is cut off: it takes about as long
PAUSE = 1.0  # seconds for which a file is edited while a build runs
RUN = "data/runs/tiny/digits/rotation/base/0"
TARGETS = (
    "all",
    "reports/index.html",
    f"{RUN}/metrics/knn.json",
    f"{RUN}/features.parquet",
    PAGE,
    f"--config looks=1 -- {PAGE}",
    f"--config budget=short -- {PAGE}",
    "--config budget=short -- reports/index.html",
)


class History:
    """A project, and what has happened to it."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng = folder, random.Random(seed)
        self.version = FIRST
        self.steps: list[str] = []
        self.wrong: list[str] = []

    def step(self) -> None:
        """Do one thing."""
        twice = [self.edit, self.stop]
        once = [self.delete, self.damage, self.swap, self.forget, self.waver]
        todo: Callable[[], str] = self.rng.choice([*twice, *twice, *once])
        self.steps.append(todo())

    def edit(self) -> str:
        """Change a recipe or code, or change it back."""
        place = self.rng.randrange(len(EDITS))
        return self._turn(place, 1 - self.version[place])

    def put_back(self) -> None:
        """Let all files have their first text."""
        for place in range(len(EDITS)):
            self._turn(place, 0)

    def delete(self) -> str:
        """Remove an output."""
        if not (found := self._outputs()):
            return "nothing to delete"
        (output := self.rng.choice(found)).unlink()
        return f"{output.relative_to(self.folder)} deleted"

    def damage(self) -> str:
        """Change a bit of an output."""
        if not (found := self._outputs()):
            return "nothing to damage"
        output = self.rng.choice(found)
        content = bytearray(output.read_bytes()) or bytearray(b" ")
        content[self.rng.randrange(len(content))] ^= 1
        output.write_bytes(content)
        return f"{output.relative_to(self.folder)} damaged"

    def swap(self) -> str:
        """Put one run's file in the place of another's, with its time, as `cp -p` does."""
        found = [path for path in self._outputs() if "/random/" in str(path)]
        if not found:
            return "nothing to swap"
        path = self.rng.choice(found)
        other = Path(str(path).replace("/random/", "/rotation/"))
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(path.read_bytes())
        os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        return f"{other.relative_to(self.folder)} is that of random"

    def forget(self) -> str:
        """Lose a record, as of a job whose end no Snakemake has seen."""
        if not (found := list(records.read(self.folder / RECORDS))):
            return "no record to lose"
        target, place = self.rng.choice(found)
        place.unlink()
        return f"the record of {target} lost"

    def stop(self) -> str:
        """Build something, and cut that off."""
        target, after = self.rng.choice(TARGETS), self.rng.uniform(0, LONGEST)
        how = self.rng.choice(["SIGKILL", "SIGINT", "SIGTERM", "SIGKILL of all processes"])
        running = start(self.folder, *target.split(), **served())
        try:
            running.wait(after)
        except TimeoutExpired:
            if how.endswith("all processes"):
                end_all(self.folder)
            else:
                running.send_signal(signal.Signals[how])
        end(running, self.folder)
        return f"{target} for {after:.1f} s, then {how}"

    def waver(self) -> str:
        """Edit something while a build runs, and put it back."""
        place, after = self.rng.randrange(len(EDITS)), self.rng.uniform(0, LONGEST)
        pause, before = self.rng.uniform(0, PAUSE), self.version[place]
        running = start(self.folder, "all", PAGE, **served())
        time.sleep(after)
        said = self._turn(place, 1 - before)
        time.sleep(pause)
        self._turn(place, before)
        ended = end(running, self.folder)
        if "Traceback" in ended.said or bool(ended.status) != bool(ended.sentences):
            self.wrong.append(ended.said[-900:])
        return f"all, after {after:.1f} s for {pause:.1f} s {said}"

    def _turn(self, place: int, to: int) -> str:
        write(self.folder, place, to)
        self.version = (*self.version[:place], to, *self.version[place + 1 :])
        return f"{EDITS[place][0]}: {EDITS[place][1 + to].strip()!r}"

    def _outputs(self) -> list[Path]:
        """What jobs have made, but for the states of trainings."""
        places = ("data/**/*", "reports/*.*")
        found = [path for place in places for path in sorted(self.folder.glob(place))]
        return [
            path
            for path in found
            if path.is_file() and path.name[0] != "." and not path.match("state.*/*")
        ]


def inject(number: int = NUMBER, steps: int = STEPS, first: int = 0) -> Iterator[Row]:
    """Live through that many histories."""
    failed, began = [], time.monotonic()
    with ExitStack() as stack:
        if forks.ENVIRONMENT not in os.environ:
            stack.enter_context(forks.server())
        clean = Clean(Path(stack.enter_context(TemporaryDirectory(dir=work()))) / "built")
        for seed in range(first, first + number):
            with TemporaryDirectory(dir=work()) as name:
                history = History(clean.start(Path(name) / "history", seed), seed)
                for _ in range(steps):
                    history.step()
                found = history.wrong + unlike(history.folder, clean.bits(history.version))
            told = f"history {seed}: {'; '.join(history.steps)}: {found or 'same bits'}"
            print(f"{time.monotonic() - began:.0f} s, {told}", flush=True)
            failed += [told] if found else []
    yield Row(f"{steps} steps each", number, str(failed or "same bits"), not failed)
