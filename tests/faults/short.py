"""Memory that runs out in a job: the kernel kills it, or it is told that there is none."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import forks, numbers, of
from trial import Row, build, differs, end, fresh, start

TITLE = "Memory that runs out"
GROUPS = {
    Path("/sys/fs/cgroup/memory"): "memory.limit_in_bytes",
    Path("/sys/fs/cgroup"): "memory.max",
}
MIB = 1 << 20


def inject() -> Iterator[Row]:
    """As a limit of a group of processes, which kills, and as one of a process, which refuses."""
    with limited(16 * MIB) as group:
        yield Row(
            "the kernel kills a training", 1, *outcome(lambda job: join(job, group), "signal 9")
        )
    yield Row("a training is refused memory", 1, *outcome(refuse, "memory is short"))


def outcome(shorten: Callable[[int], None], said: str) -> tuple[str, bool]:
    """What the user is told, and what comes of it when there is enough."""
    with fresh() as folder:
        running = start(folder)
        while not (jobs := forks(folder) if training(folder) else []):
            assert running.poll() is None
            time.sleep(0.002)
        shorten(jobs[0].number)
        ended = end(running, folder)
        again = build(folder)
        if again.status or differs(folder):
            return f"does not go on: {again.said[-900:]}", False
    if not ended.clear or said not in ended.sentences[0]:
        return f"said {ended.sentences}, {ended.said[-2500:]}", False
    return f"sentence: `{ended.sentences[0]}`", True


def training(folder: Path) -> bool:
    """Does one run?"""
    return any(each.stage == "pretrain" for each in of(folder))


def refuse(job: int) -> None:
    """Let the process have no more memory of its own than it has, and a little."""
    held = numbers(job)["VmData"] * 1024
    resource.prlimit(job, resource.RLIMIT_DATA, (held + 4 * MIB, held + 4 * MIB))


def join(job: int, group: Path) -> None:
    """Have what the process takes from now on count in the group."""
    (group / "cgroup.procs").write_text(str(job))


@contextmanager
def limited(size: int) -> Iterator[Path]:
    """A control group with so much memory, which only root may make."""
    root, limit = next((root, limit) for root, limit in GROUPS.items() if root.is_dir())
    group = root / "unlabel-faults"
    group.mkdir(exist_ok=True)
    (group / limit).write_text(str(size))
    try:
        yield group
    finally:
        group.rmdir()
