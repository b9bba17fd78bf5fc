"""Runs a function many times in a process of its own, which may hang, crash or do harm.

What it must not do is noticed: another exception than the one that is allowed, more time or memory
than a bound, a crash, a file written elsewhere, a program started, a connection.
"""

import faulthandler
import mmap
import os
import pickle
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from struct import pack_into, unpack_from
from typing import NamedTuple

SECONDS = 20  # of the processor, for one call
PATIENCE = 120  # seconds by the clock
MEMORY = 3 << 30  # bytes beside what the process has when it starts
# What Python says of itself when such things happen (its audit events).
HARM = {
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill"),
    *("subprocess.Popen", "pty.spawn", "socket.connect", "socket.bind", "socket.sendto"),
    *("pickle.find_class", "ctypes.dlopen", "webbrowser.open", "urllib.Request"),
}
# What changes a file, and which of what it is given are the paths that change.
WRITES = {
    **dict.fromkeys(("os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"), (0,)),
    **dict.fromkeys(("os.link", "os.symlink"), (1,)),
    "os.rename": (0, 1),
}


class Finding(NamedTuple):
    """A call that did what it must not."""

    number: int
    what: str


class Tried(NamedTuple):
    """What came of many calls."""

    count: int
    refused: int  # by the exception that is allowed
    memory: int  # bytes, the most that any process held
    findings: list[Finding]


def tried(
    call: Callable[[int], bool],
    numbers: Iterable[int],
    folder: Path,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Tried:
    """`call(number)` of each number, where only `folder` may be written to.

    It says whether its input was refused. A process that dies is named by its number, and another
    goes on with the next.
    """
    left = list(numbers)
    count, refused, peak, findings = 0, 0, 0, list[Finding]()
    while left:
        place = mmap.mmap(-1, 16)  # how many calls have begun, and how many of them were refused
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(call, left, folder, place, writer, seconds, memory)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            findings += _received(pipe.read())
        _, status, used = os.wait4(child, 0)
        began, refusals = unpack_from("qq", place)
        count, refused, peak = count + began, refused + refusals, max(peak, used.ru_maxrss << 10)
        if status:
            findings.append(Finding(left[began - 1], _death(status, seconds)))
        left = left[began:]
    return Tried(count, refused, peak, findings)


def _received(content: bytes) -> list[Finding]:
    return [Finding(*each) for each in (pickle.loads(content) if content else [])]


def _death(status: int, seconds: float) -> str:
    if not os.WIFSIGNALED(status):
        return f"it ended the process with {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number in (signal.SIGPROF, signal.SIGALRM):
        clock = "of the processor" if number == signal.SIGPROF else "by the clock"
        return f"it took more than {seconds if number == signal.SIGPROF else PATIENCE:g} s {clock}"
    return f"it crashed with {signal.Signals(number).name}"


def _work(
    call: Callable[[int], bool],
    numbers: list[int],
    folder: Path,
    place: mmap.mmap,
    writer: int,
    seconds: float,
    memory: int,
) -> None:
    """All calls, in the process that may die; a crash loses no finding of an earlier call."""
    status = 1
    try:
        # What is printed is of no interest, and may be much.
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        faulthandler.disable()
        os.chdir(folder)
        whole = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (whole + memory,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        harm: list[str] = []
        sys.addaudithook(lambda event, given: _notice(event, given, folder, harm))
        refused = 0
        for at, number in enumerate(numbers, 1):
            pack_into("qq", place, 0, at, refused)
            harm.clear()
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            found = _called(call, number)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            refused += found is True
            said = [*harm, *([found] if isinstance(found, str) else [])]
            if threading.active_count() > 50:
                said.append(f"it left {threading.active_count()} threads")
            if said:
                # The process may be in any state after it: the next one goes on.
                pack_into("qq", place, 0, at, refused)
                os.write(writer, pickle.dumps([(number, "; ".join(dict.fromkeys(said)))]))
                os._exit(0)
            pack_into("qq", place, 0, at, refused)
        status = 0
    finally:
        os._exit(status)


def _called(call: Callable[[int], bool], number: int) -> bool | str:
    try:
        return call(number)
    except BaseException as error:
        at = error.__traceback__
        while at and at.tb_next:
            at = at.tb_next
        where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else "?"
        return f"{type(error).__name__} at {where}: {' '.join(str(error).split())[:200]}"


def _notice(event: str, given: tuple, folder: Path, harm: list[str]) -> None:
    if event in HARM:
        harm.append(f"{event} {given!r:.100}")
    elif event == "open":
        path, _, flags = given
        writing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writing and not _inside(path, folder):
            harm.append(f"open for writing {path!r:.100}")
    elif not all(_inside(given[at], folder) for at in WRITES.get(event, ())):
        harm.append(f"{event} {given!r:.100}")


def _inside(path: object, folder: Path) -> bool:
    if isinstance(path, int):  # a descriptor that is open already
        return True
    assert isinstance(path, str | bytes | os.PathLike)
    place = Path(os.path.normpath(Path(os.fsdecode(path)).absolute()))
    return place == Path(os.devnull) or place.is_relative_to(folder)
