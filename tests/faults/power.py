"""A power cut: what a program has written and not told the disk to keep is gone."""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

from processes import end_all
from trial import REPORT, Row, build, differs, end, fresh, start

from unlabel import records
from unlabel.provenance import RECORDS

TITLE = "A power cut"
CALLS = "openat,creat,fsync,fdatasync,rename,renameat,renameat2"
CUTS = 5
TRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o")
SYNCED = re.compile(r"f(?:data)?sync\(\d+<(.+?)>\) += 0")
RENAMED = re.compile(r'rename(?:at2?)?\((?:AT_FDCWD<.*?>, )?"(.+?)", (?:AT_FDCWD<.*?>, )?"(.+?)".* = 0')
OPENED = re.compile(r"(?:openat|creat)\(.*O_(?:WRONLY|RDWR).* = \d+<(.+?)>")


def inject(cuts: int = CUTS) -> Iterator[Row]:
    """Look at the order of the calls, then lose what is not on the disk at random moments."""
    with fresh() as folder:
        trace = folder.with_name("trace")
        ended = build(folder, before=[*TRACE, str(trace)])
        assert ended.status == 0, ended.said
        outputs = [target for target, _ in records.read(folder / RECORDS)]
        wrong = [name for name in outputs if (why := order(trace, folder, name)) and print(name, why) is None]
        told = "content, then name, then folder reach the disk"
        yield Row("each output of a reproduction", len(outputs), str(wrong) if wrong else told, not wrong)
    rng = random.Random(0)
    lost, unlike = 0, []
    for _ in range(cuts):
        with fresh() as folder:
            trace = folder.with_name("trace")
            running = start(folder, before=[*TRACE, str(trace)])
            time.sleep(rng.uniform(6, 25))
            end_all(folder)
            end(running, folder)
            lost += forget(trace, folder)
            ended = build(folder)
            unlike += differs(folder) if ended.status == 0 else [ended.said[-900:]]
    outcome = f"{lost} files lost; {unlike or 'same bits'}"
    yield Row("what was not told to be kept is empty, at a random moment", cuts, outcome, not unlike)


def order(trace: Path, folder: Path, name: str) -> str:
    """What is wrong with how an output was written; empty where nothing is."""
    content, named, kept = set(), False, False
    for line in trace.read_text(errors="replace").splitlines():
        if found := SYNCED.search(line):
            content.add(found[1])
            kept |= named and found[1] == str((folder / name).parent)
        elif (found := RENAMED.search(line)) and inside(folder, found[2]) == folder / name:
            if str(inside(folder, found[1])) not in content:
                return "named before its content was on the disk"
            named, kept = True, False
    return "" if kept else "its folder was not told to be kept" if named else "never renamed"


def forget(trace: Path, folder: Path) -> int:
    """Empty the files that were written and not kept; how many were there?"""
    written, kept = set(), set()
    for line in trace.read_text(errors="replace").splitlines():
        if found := SYNCED.search(line):
            kept.add(Path(found[1]))
        elif found := RENAMED.search(line):
            old, new = inside(folder, found[1]), inside(folder, found[2])
            (kept if old in kept else written).add(new)
        elif (found := OPENED.search(line)) and folder in Path(found[1]).parents:
            written.add(Path(found[1]))
    lost = [path for path in written - kept if path.is_file()]
    for path in lost:
        path.write_bytes(b"")
    return len(lost)


def inside(folder: Path, name: str) -> Path:
    """A path that a process of the folder names."""
    return folder / name  # which is `name` itself where that is absolute
