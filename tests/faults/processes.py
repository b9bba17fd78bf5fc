"""The processes that work in a folder, from /proc."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support.working import within


@dataclass(frozen=True)
class Process:
    """One that lives, or did a moment ago."""

    number: int
    parent: int
    words: tuple[str, ...]

    @property
    def stage(self) -> str:
        """What it was asked to do; empty for what is no stage."""
        after = dict(zip(self.words, self.words[1:], strict=False))
        return after.get("unlabel", "") if after.get("-m") == "unlabel" else ""

    @property
    def log(self) -> str:
        """The stage whose log is its standard error: a job's, or its fork's; else empty."""
        try:
            log = Path(f"/proc/{self.number}/fd/2").readlink()
        except OSError:
            return ""
        folders = log.parts[:-1]
        return log.with_suffix("").parts[folders.index("logs") + 1] if "logs" in folders else ""

    @property
    def forks(self) -> bool:
        """Is it the server of forks, or one of them?"""
        return "unlabel.workflow.forkserver" in self.words

    @property
    def memory(self) -> int:
        """Bytes that it holds; 0 when it has ended."""
        return numbers(self.number).get("VmRSS", 0) * 1024

    @property
    def handles(self) -> int:
        """Files and sockets that it has open; 0 when it has ended."""
        try:
            return len(list(Path(f"/proc/{self.number}/fd").iterdir()))
        except OSError:
            return 0


def of(folder: Path) -> list[Process]:
    """Those whose working folder is `folder`."""
    return [each for each in map(_look, within(folder)) if each]


def _look(number: int) -> Process | None:
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    return Process(number, numbers(number).get("PPid", 0), tuple(words))


def numbers(number: int) -> dict[str, int]:
    """The numbers of /proc/NUMBER/status."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.partition(":") for line in lines)
    return {
        name: int(text.split()[0])
        for name, _, text in fields
        if text.split()[:1] and text.split()[0].isdecimal()
    }


def forks(folder: Path) -> list[Process]:
    """The forks of the server of the folder's workflow, each of which does a job."""
    here = [each for each in of(folder) if each.forks]
    numbers = {each.number for each in here}
    return [each for each in here if each.parent in numbers]


def end_all(folder: Path) -> None:
    """Kill all that work in the folder, at once."""
    while found := of(folder):
        for each in found:
            with suppress(ProcessLookupError):
                os.kill(each.number, signal.SIGKILL)
