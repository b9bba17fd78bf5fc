"""A disk that is full, from the start or from the moment a stage begins."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import of
from stages import STAGES, undo
from trial import REPORT, Row, build, differs, end, start, whole, work

TITLE = "A full disk"
SIZE = 64 << 20  # bytes of the disk


def inject(stages: tuple[str, ...] = ("", *STAGES)) -> Iterator[Row]:
    """From the beginning, which has no name, then from the start of each stage on."""
    with disk() as folder:
        copy = shutil.copytree(whole(), folder / "project", symlinks=True)
        for stage in stages:
            where = f"from the start of `{stage}`" if stage else "when Snakemake starts"
            yield Row(where, 1, *outcome(copy, stage))


def outcome(folder: Path, stage: str) -> tuple[str, bool]:
    """What the user is told, and what comes of it when there is room again."""
    target, undone = STAGES.get(stage, (REPORT, ["data", "reports"]))
    undo(folder, undone)
    full = Filler(folder.parent / "filler")
    if not stage:
        full.start()
    running = start(folder, target)
    while stage and running.poll() is None and stage not in {each.stage for each in of(folder)}:
        time.sleep(0.002)
    if stage:
        full.start()
    ended = end(running, folder)
    full.end()
    if ended.status == 0:
        return "was done before the disk was full", False
    again = build(folder, target)
    if again.status or differs(folder):
        return f"does not go on: {differs(folder)} {again.said[-900:]}", False
    told = [each for each in ended.sentences if "No space left" in each or "no room" in each]
    if not told or told != ended.sentences or "Traceback" in ended.said:
        return f"same bits, but said {ended.sentences}, and {ended.said[-900:]}", False
    return f"sentence: `{told[0].replace(str(folder), 'PROJECT')}`", True


class Filler:
    """Takes all the room that there is, and what is given back, until it is told to end."""

    def __init__(self, path: Path):
        self.path, self.ended = path, threading.Event()
        self.thread = threading.Thread(target=self._fill)

    def start(self) -> None:
        """Return when the disk is full."""
        self.file = self.path.open("wb", buffering=0)
        self._write()
        self.thread.start()

    def end(self) -> None:
        """Give all back."""
        self.ended.set()
        self.thread.join()
        self.file.close()
        self.path.unlink()

    def _fill(self) -> None:
        while not self.ended.wait(0.005):
            self._write()

    def _write(self) -> None:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while self.file.write(bytes(size)):
                    pass


@contextmanager
def disk() -> Iterator[Path]:
    """A small file system of its own, which only root may mount."""
    with TemporaryDirectory(dir=work()) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
        subprocess.run(mount, check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
