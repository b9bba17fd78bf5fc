"""What a dataset that is being prepared may use: threads, and a folder that outlives a kill."""

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from unlabel.files import lock

SHARE = 16  # items that a thread takes at a time
AHEAD = 2  # shares of each thread that wait to be used
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass
class Preparation:
    """One dataset, from its files to its splits on the disk."""

    workers: int = 1
    until_written: ExitStack = field(default_factory=ExitStack)  # closed in any case
    aside: list[Path] = field(default_factory=list)  # folders that are removed after a success


_current: ContextVar[Preparation | None] = ContextVar("preparation", default=None)


@contextmanager
def preparation(workers: int) -> Iterator[None]:
    """Prepare a dataset inside of this context, with so many threads. No bits depend on them."""
    current = Preparation(workers)
    token = _current.set(current)
    with current.until_written:
        try:
            yield
            for folder in current.aside:
                shutil.rmtree(folder, ignore_errors=True)  # a process that waits may be there
        finally:
            _current.reset(token)


def kept_aside(raw: Path) -> Path | None:
    """This process's own folder below `raw` for unfinished work.

    It is there again if the process is killed, and removed once the dataset is written. Waits
    while another process has it. None outside of `preparation`, and if it is in use here.
    """
    current, folder = _current.get(), raw / "unfinished"
    if current is None or folder in current.aside:
        return None
    held = lock.acquire(folder / "lock", f"prepares the images of {raw}")
    current.until_written.enter_context(held)
    current.aside.append(folder)
    return folder


def in_order(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`make` of each item, in their order; the threads of the preparation are ahead of the use.

    Threads suffice, as decoding, resizing and hashing release Python's lock, and they end with the
    process whoever kills it.
    """
    current = _current.get()
    if current is None or current.workers < 2:
        yield from map(make, items)
        return
    pool, rest = ThreadPoolExecutor(current.workers, "prepare"), iter(items)
    waiting: deque[Future[list[Made]]] = deque()
    try:
        while share := list(islice(rest, SHARE)):
            waiting.append(pool.submit(_each, make, share))
            if len(waiting) > AHEAD * current.workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _each(make: Callable[[Item], Made], items: list[Item]) -> list[Made]:
    return [make(item) for item in items]
