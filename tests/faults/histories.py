"""Random histories: whatever people and machines do between builds, the last one has a clean one's
bits, and nothing is left to do after it."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from trial import SMALL, Row, build, end, start, work

from support.project import digests, project

TITLE = "Random histories"
NUMBER, STEPS = 200, 6
LONGEST = 15.0  # seconds until a build is cut off
RUN = "data/runs/tiny/digits/rotation/base/0"
TARGETS = ("all", "reports/index.html", f"{RUN}/metrics/knn.json", f"{RUN}/features.parquet")
# Files to edit, each with a text and what may stand in its place. All are quick to build.
EDITS = (
    ("params/probe/knn.yaml", "k: 20", ("k: 20", "k: 5")),
    ("params/method/rotation.yaml", "# As in", ("# As in", "# Just as in")),
    ("params/study/test.yaml", "title: Test", ("title: Test", "title: Tested")),
    (
        "ssl/unlabel/probe/knn.py",
        "\nimport torch",
        ("\nimport torch", "\nimport torch\n\nassert True\n"),
    ),
    ("ssl/unlabel/method/rotation.py", "torch.arange(4", ("torch.arange(4", "torch.arange(0, 4")),
)
Version = tuple[int, ...]  # which text each of these files has


class History:
    """A project, and what has happened to it; a seed chooses everything but the machine's pace."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng = project(folder, SMALL), random.Random(seed)
        self.version: Version = (0,) * len(EDITS)
        self.steps: list[str] = []

    def step(self) -> None:
        """Do one thing."""
        todo: Callable[[], str] = self.rng.choice(
            [self.edit, self.edit, self.delete, self.damage, self.forget, self.stop, self.stop]
        )
        self.steps.append(todo())

    def edit(self) -> str:
        """Change a recipe or code, or change it back."""
        place = self.rng.randrange(len(EDITS))
        texts = EDITS[place][2]
        before, after = self.version[place], self.rng.randrange(len(texts))
        self.version = (*self.version[:place], after, *self.version[place + 1 :])
        write(self.folder, place, texts[before], texts[after])
        return f"{EDITS[place][0]}: {texts[after].strip()!r}"

    def delete(self) -> str:
        """Remove an output."""
        if (output := self._output()) is None:
            return "nothing to delete"
        output.unlink()
        return f"{output.relative_to(self.folder)} deleted"

    def damage(self) -> str:
        """Change a byte of an output, with or without its time."""
        if (output := self._output()) is None:
            return "nothing to damage"
        content = bytearray(output.read_bytes()) or bytearray(b" ")
        content[self.rng.randrange(len(content))] ^= 1
        output.write_bytes(content)
        return f"{output.relative_to(self.folder)} damaged"

    def forget(self) -> str:
        """Lose a record, as a job's whose end no Snakemake sees."""
        found = sorted((self.folder / ".snakemake/metadata").glob("*"))
        if found:
            self.rng.choice(found).unlink()
        return "a record lost"

    def stop(self) -> str:
        """Build something, and cut that off."""
        target, after = self.rng.choice(TARGETS), self.rng.uniform(0, LONGEST)
        how = self.rng.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        running = start(self.folder, target)
        until = time.monotonic() + after
        while running.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(how)
        end(running, self.folder)
        return f"{target} for {after:.1f} s, then {how.name}"

    def _output(self) -> Path | None:
        found = [path for path in sorted(self.folder.glob("data/**/*")) if path.is_file()]
        found += sorted(self.folder.glob("reports/*.*"))
        return self.rng.choice(found) if found else None


def write(folder: Path, place: int, before: str, after: str) -> None:
    """Put one text of a file in the place of another."""
    path = folder / EDITS[place][0]
    text = path.read_text()
    assert text.count(before) >= 1, (path, before)
    path.write_text(text.replace(before, after, 1))


def clean(version: Version, known: dict[Version, dict[str, str]]) -> dict[str, str]:
    """The bits of a first build of these texts."""
    if version not in known:
        with TemporaryDirectory(dir=work()) as name:
            folder = project(Path(name) / "clean", SMALL)
            for place, choice in enumerate(version):
                write(folder, place, EDITS[place][2][0], EDITS[place][2][choice])
            ended = build(folder, "all")
            assert ended.status == 0, ended.said
            known[version] = digests(folder)
    return known[version]


def wrong(history: History, known: dict[Version, dict[str, str]]) -> list[str]:
    """What is wrong after the last build."""
    ended = build(history.folder, "all")
    if ended.status:
        return [ended.said[-900:]]
    here, there = digests(history.folder), clean(history.version, known)
    found = [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]
    if "Nothing to be done" not in build(history.folder, "-n", "all").said:
        found.append("something is left to do")
    return sorted(found)


def inject(number: int = NUMBER, steps: int = STEPS, first: int = 0) -> Iterator[Row]:
    """Live through that many histories."""
    known: dict[Version, dict[str, str]] = {}
    failed = []
    for seed in range(first, first + number):
        with TemporaryDirectory(dir=work()) as name:
            history = History(Path(name) / "history", seed)
            for _ in range(steps):
                history.step()
            if found := wrong(history, known):
                failed.append(f"seed {seed}, {'; '.join(history.steps)}: {found}")
    yield Row(f"{steps} steps each", number, str(failed or "same bits"), not failed)
