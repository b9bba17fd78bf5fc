"""A power cut: what a program has written and not told the disk to keep is gone."""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from processes import end_all
from trial import Row, build, differs, end, fresh, start

from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS

TITLE = "A power cut"
CALLS = "openat,creat,fsync,fdatasync,rename,renameat,renameat2"
CUTS = 3
TRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o")
SYNCED = re.compile(r"f(?:data)?sync\(\d+<(.+?)>\) += 0")
RENAMED = re.compile(
    r'rename(?:at2?)?\((?:AT_FDCWD<.*?>, )?"(.+?)", (?:AT_FDCWD<.*?>, )?"(.+?)".* = 0'
)
RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
OPENED = re.compile(r"(?:openat|creat)\(.*O_(?:WRONLY|RDWR).* = \d+<(.+?)>")


def inject(cuts: int = CUTS) -> Iterator[Row]:
    """Look at the order of the calls, then lose what is not on the disk at random moments."""
    with fresh() as folder:
        trace = folder.with_name("trace")
        ended = build(folder, before=[*TRACE, str(trace)])
        assert ended.status == 0, ended.said
        outputs = [folder / target for target, _ in records.read(folder / RECORDS)]
        calls = events(trace, folder)
        wrong = [why for each in outputs if (why := disorder(calls, each))]
        told = "content, then name, then folder reach the disk"
        yield Row("each output's calls, in order", len(outputs), str(wrong or told), not wrong)
    rng = random.Random(0)
    lost, unlike = 0, []
    for _ in range(cuts):
        with fresh() as folder:
            trace = folder.with_name("trace")
            running = start(folder, before=[*TRACE, str(trace)])
            moment = rng.uniform(0.1, 0.9) * len(outputs)
            while running.poll() is None and len(list(records.read(folder / RECORDS))) < moment:
                time.sleep(0.05)
            end_all(folder)
            end(running, folder)
            lost += forget(events(trace, folder))
            ended = build(folder)
            unlike += differs(folder) if ended.status == 0 else [ended.said[-900:]]
    outcome = f"{lost} files lost; {unlike or 'same bits'}"
    yield Row("what the disk was not told to keep is empty", cuts, outcome, not unlike)


class Event(NamedTuple):
    """A call that went well."""

    kind: str  # "kept", "renamed" or "opened" to write
    path: Path
    name: Path | None = None  # the new one


def events(trace: Path, folder: Path) -> list[Event]:
    """The calls about files of the folder, in the order in which they ended."""
    found = []
    for line in calls_of(trace):
        if match := SYNCED.search(line):
            found.append(Event("kept", Path(match[1])))
        elif match := RENAMED.search(line):
            found.append(Event("renamed", folder / match[1], folder / match[2]))
        elif match := OPENED.search(line):
            found.append(Event("opened", Path(match[1])))
    return [event for event in found if folder in (event.path, *event.path.parents)]


def calls_of(trace: Path) -> Iterator[str]:
    """Each call on one line, also where another process came between its beginning and its end."""
    begun: dict[str, str] = {}
    for line in trace.read_text(errors="replace").splitlines():
        process, _, call = line.partition(" ")
        call = call.lstrip()
        if call.endswith(" <unfinished ...>"):
            begun[process] = call.removesuffix(" <unfinished ...>")
        elif match := RESUMED.match(call):
            yield begun.pop(process, "") + match[1]
        else:
            yield call


def disorder(calls: list[Event], output: Path) -> str:
    """What is wrong with how an output was written; empty where nothing is."""
    content, named, kept = set(), False, False
    for call in calls:
        if call.kind == "kept":
            content.add(call.path)
            kept |= named and call.path == output.parent
        elif call.kind == "renamed" and call.name == output:
            if call.path not in content:
                return f"{output} was named before its content was on the disk"
            named, kept = True, False
    return "" if kept else f"{output} has a name that is not on the disk"


def forget(calls: list[Event]) -> int:
    """Empty the files that were written and not kept; how many were there?"""
    kept = {call.path for call in calls if call.kind == "kept"}
    renamed = {call.path: call.name for call in calls if call.kind == "renamed"}
    written = {call.path for call in calls if call.kind == "opened"} - kept
    lost = [path for path in {renamed.get(each, each) for each in written} if path.is_file()]
    for path in lost:
        path.write_bytes(b"")
    return len(lost)
