"""A project that was built undisturbed, copies of it to disturb, and what came of that."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from support.project import STUDY, command, digests, environment, project

SMALL = STUDY | {"methods": ["random", "rotation"]}
PROFILE = ("--workflow-profile", "workflow/profiles/default")
REPORT = "reports/index.html"  # and all that is needed for it, but no method's own page
SENTENCE = r"^\s*(error: .+|Error: Directory cannot be locked\. .+)$"  # ours, or Snakemake's
SECONDS = 600  # a workflow that takes longer hangs


@dataclass(frozen=True)
class Row:
    """A fault, how many times it was injected, and what came of it."""

    fault: str
    times: int
    outcome: str
    well: bool = True

    def written(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Ended:
    """How a workflow ended."""

    status: int
    said: str

    @property
    def sentences(self) -> list[str]:
        """Its sentences to the user, each once."""
        return list(dict.fromkeys(re.findall(SENTENCE, self.said, re.MULTILINE)))

    @property
    def clear(self) -> bool:
        """Did it stop with one sentence and nothing that only its programmers understand?"""
        return self.status != 0 and len(self.sentences) == 1 and "Traceback" not in self.said


def work() -> Path:
    """The folder of this trial."""
    return Path(os.environ["UNLABEL_FAULTS"])


@cache
def whole() -> Path:
    """The small study, built undisturbed; to be copied only."""
    folder = work() / "whole"
    if not (folder / REPORT).exists():
        shutil.rmtree(folder, ignore_errors=True)
        ended = build(project(folder, SMALL))
        assert ended.status == 0, ended.said
    return folder


@cache
def bits() -> dict[str, str]:
    """What every result of the small study is."""
    return digests(whole())


@contextmanager
def copied() -> Iterator[Path]:
    """The built study, to disturb."""
    with TemporaryDirectory(dir=work()) as name:
        yield shutil.copytree(whole(), Path(name) / "copy", symlinks=True)


@contextmanager
def fresh() -> Iterator[Path]:
    """The study, with nothing built."""
    with TemporaryDirectory(dir=work()) as name:
        yield project(Path(name) / "fresh", SMALL)


def start(
    folder: Path, *arguments: str, before: Iterable[str] = (), name: str = "", **extra: str
) -> subprocess.Popen:
    """A workflow that runs, in a session of its own; `before` it may stand a command.

    It prints into a file, which is no pipe that would wait for processes which survive it.
    """
    words = [*before, *command("--cores", "2", *PROFILE, *(arguments or (REPORT,)))]
    with printed(folder, name).open("w") as out:
        streams = {"stdout": out, "stderr": subprocess.STDOUT}
        environment_ = environment(**extra)
        return subprocess.Popen(
            words, cwd=folder, env=environment_, start_new_session=True, **streams
        )


def end(running: subprocess.Popen, folder: Path, name: str = "") -> Ended:
    """Wait for it."""
    return Ended(running.wait(SECONDS), printed(folder, name).read_text(errors="replace"))


def printed(folder: Path, name: str = "") -> Path:
    """What a workflow in a folder prints: elsewhere, as the folder may be full or read-only."""
    return work() / f"{folder.parent.name}-{folder.name}{name}.printed"


def build(folder: Path, *arguments: str, before: Iterable[str] = (), **extra: str) -> Ended:
    """Run the workflow to its end."""
    return end(start(folder, *arguments, before=before, **extra), folder)


def differs(folder: Path) -> list[str]:
    """The results that are not."""
    here, there = digests(folder), bits()
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
