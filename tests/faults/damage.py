"""Files that are not what was written: a byte flipped, cut short, empty, or of another run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from processes import of
from trial import REPORT, Row, build, copied, differs, end, start

from unlabel import files
from unlabel.workflow.engine import provenance, records

TITLE = "Damaged files"
RUN = Path("data/runs/tiny/digits/rotation/base/0")
OTHER = Path("data/runs/tiny/digits/random/base/0")


def flipped(path: Path, _: Path) -> None:
    """One bit, in the first half, where a table has its numbers."""
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)


def cut(path: Path, _: Path) -> None:
    """The last third is missing."""
    path.write_bytes(path.read_bytes()[: -max(1, path.stat().st_size // 3)])


def empty(path: Path, _: Path) -> None:
    """Nothing is left."""
    path.write_bytes(b"")


def another(path: Path, other: Path) -> None:
    """The same file of another run."""
    path.write_bytes(other.read_bytes())


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "a bit flipped": flipped,
    "cut short": cut,
    "empty": empty,
    "another's": another,
}
DATA = Path("data/prepared/digits")
READ = ["features.parquet", "views.parquet", "metrics/*.json"]
# what is damaged, what of another run takes its place, and what must be made anew to read it
OUTPUTS = {
    "encoder": (RUN / "encoder.safetensors", OTHER / "encoder.safetensors", READ),
    "method's weights": (RUN / "method.safetensors", OTHER / "method.safetensors", READ),
    "features": (RUN / "features.parquet", OTHER / "features.parquet", ["metrics/*.json"]),
    "log": (RUN / "log.parquet", OTHER / "log.parquet", []),
    "measures": (RUN / "metrics/knn.json", OTHER / "metrics/knn.json", []),
    "run.json": (RUN / "run.json", OTHER / "run.json", []),
    "images": (DATA / "train.arrow", DATA / "test.arrow", ["*.*", "metrics/*.json"]),
}


def inject() -> Iterator[Row]:
    """Each kind of file in each way: with the time of the damage, then with the time it had."""
    for what, (path, other, _) in OUTPUTS.items():
        for way, damage in WAYS.items():
            with copied() as folder:
                damage(folder / path, folder / other)
                yield row(f"{what}, {way}", folder, path)
    for what, (path, other, read) in OUTPUTS.items():
        with copied() as folder:
            was = (folder / path).stat().st_mtime
            flipped(folder / path, folder / other)
            os.utime(folder / path, (was, was))
            for each in {each for pattern in read for each in (folder / RUN).glob(pattern)}:
                each.unlink()
            (folder / REPORT).unlink()
            yield row(f"{what}, a bit flipped, its time unchanged", folder, path)
    for what, at in RECORDS.items():
        for way, damage in list(WAYS.items())[:3]:
            with copied() as folder:
                if at == provenance.PROVENANCE:
                    python(folder, "unlabel", "provenance")
                for path in sorted(each for each in folder.glob(str(at)) if each.is_file()):
                    damage(path, path)
                    damaged = path
                yield row(f"{what}, {way}", folder, damaged.relative_to(folder))
    for way in WAYS:
        yield resumed(way)


RECORDS = {
    "Snakemake's records": records.RECORDS / "**/*",
    "the plan": files.FROZEN / "*.json",
    "the frozen settings": files.FROZEN / "*.yaml",
    "provenance.json": provenance.PROVENANCE,
}


def row(fault: str, folder: Path, path: Path) -> Row:
    """Run; where that ends with a sentence, remove what it names, as it says, and run again."""
    ended = build(folder)
    if ended.status == 0:
        wrong = differs(folder)
        return Row(fault, 1, f"not noticed: {wrong}" if wrong else "same bits", not wrong)
    if not ended.clear:
        return Row(fault, 1, f"said {ended.sentences}: {ended.said[-1500:]}", False)
    said = ended.sentences[0]
    if str(path) not in said:
        return Row(fault, 1, f"does not name {path}: {said}", False)
    (folder / path).unlink()
    again = build(folder)
    if again.status or differs(folder):
        return Row(fault, 1, f"{said}, and then: {again.said[-900:]}", False)
    return Row(fault, 1, f"sentence: `{said}`")


def python(folder: Path, module: str, *words: str) -> None:
    """Run a module of the package there."""
    paths = {"PYTHONPATH": str(folder / "ssl")}
    words_ = [sys.executable, "-m", module, *words]
    subprocess.run(words_, cwd=folder, env=os.environ | paths, check=True, capture_output=True)


def resumed(way: str) -> Row:
    """A training that was stopped, and whose state is then damaged."""
    with copied() as folder:
        for each in [REPORT, *(folder / RUN).glob("*.*")]:
            (folder / each).unlink()
        state = stopped(folder)
        other = state.with_name("other")
        content = bytearray(state.read_bytes())  # of another run: its seed is another one
        other.write_bytes(content.replace(b'\\"seed\\": 0', b'\\"seed\\": 1'))
        assert other.read_bytes() != content
        WAYS[way](state, other)
        return row(f"training state, {way}", folder, state.relative_to(folder))


def stopped(folder: Path) -> Path:
    """The state of a training that was told to stop."""
    running = start(folder)
    while not (found := list((folder / RUN).glob("state.*/state.safetensors"))):
        assert running.poll() is None, "the training was done too soon"
        time.sleep(0.002)
    for each in of(folder):
        with suppress(ProcessLookupError):
            os.kill(each.number, signal.SIGKILL)
    end(running, folder)
    return found[0]
