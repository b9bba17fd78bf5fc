"""Find or download the files of published datasets, and check them."""

import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import BinaryIO, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from unlabel.errors import UserError

ANSWER, STALL = 5, 10  # seconds to wait for an answer, and for each further part
SLOWEST, PATIENCE = 1000, 60  # bytes per second, measured after this many seconds
TRIES = 5  # per address, if the connection breaks
BLOCK = 1 << 20  # bytes
SAID = 10  # seconds between two lines of progress


class Unavailable(Exception):
    """Why a file cannot be had from a place."""


class File(NamedTuple):
    """A file as it was published."""

    name: str
    size: int  # bytes, at most
    checksum: str  # hexadecimal sha256 of its bytes, or md5 if only that is known
    urls: tuple[str, ...]


def folders(raw: Path, root: str | None, dataset: str) -> list[Path]:
    """The folders that may have a file of `dataset`: `raw`, `root`, and those of other recipes."""
    here = [raw, *([Path(root).expanduser()] if root else [])]
    return [*here, *(other for other in sorted(raw.parent.glob(f"{dataset}*")) if other != raw)]


def find(places: Sequence[Path], *names: str) -> Path | None:
    """The first of `names` that exists in any of the places."""
    paths = (place / name for name in names for place in places)
    return next((path for path in paths if path.exists()), None)


def obtain(title: str, file: File, raw: Path, places: Sequence[Path]) -> Path:
    """The path of `file` in `places`, or in `raw` after a download; its checksum is right.

    Raises `UserError` if it is damaged, or if it cannot be had; then the message lists all that was
    tried.
    """
    if path := find(places, file.name):
        return check(path, file.checksum)
    print(f"fetching {file.name} ({file.size / 1e6:.0f} MB) into {raw}", file=sys.stderr)
    tried = []
    for url in file.urls:
        try:
            return download(file, url, raw)
        except Unavailable as error:
            tried.append(f"{url}: {error}")
    raise UserError(
        f"{title} cannot be had. {file.name} is not in {', '.join(map(str, places))}; "
        f"{'; '.join(tried)}. Put {file.name} into {raw}, name a folder that has it as the "
        "recipe's `root`, or choose another dataset (dataset=digits needs no network)"
    )


def check(path: Path, checksum: str) -> Path:
    """`path`. Raises `UserError` unless its checksum is right."""
    try:
        if digest(path, checksum) == checksum:
            return path
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    raise UserError(
        f"{path} is not the file that was published: its checksum is wrong; delete it, start again"
    )


def digest(path: Path, like: str) -> str:
    """The checksum of a file, of the same kind as `like`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind(like)).hexdigest()


def kind(checksum: str) -> str:
    """The hash function that makes checksums of this length."""
    return {32: "md5", 64: "sha256"}[len(checksum)]


def download(file: File, url: str, raw: Path) -> Path:
    """Download `file` into `raw`, continuing where an earlier try ended.

    Raises `Unavailable`. What has arrived is kept for the next try, unless it is wrong.
    """
    path, partial = raw / file.name, raw / f"{file.name}.partial"
    with _alone(partial) as part:
        for left in reversed(range(TRIES)):
            if path.exists():  # downloaded by the process that this one waited for
                partial.unlink()
                return check(path, file.checksum)
            before = part.tell()
            try:
                _append(part, file, url)
            except Unavailable:
                if left and part.tell() > before:
                    continue  # it broke, but more has arrived
                if not part.tell():
                    partial.unlink()
                raise
            if digest(partial, file.checksum) == file.checksum:
                os.fsync(part.fileno())
                return partial.rename(path)
            part.truncate(0)
            part.seek(0)
            if not before:  # else the fault may be in what was there before
                break
        partial.unlink()
    raise Unavailable("its checksum is wrong")


def _append(part: BinaryIO, file: File, url: str) -> None:
    said = time.monotonic()
    for place, block in stream(url, part.tell()):
        if place != part.tell():  # the server started at the beginning
            part.truncate(place)
            part.seek(place)
        part.write(block)
        part.flush()
        if part.tell() > file.size:
            part.truncate(0)
            part.seek(0)
            raise Unavailable(f"it is larger than {file.size:,} bytes")
        if time.monotonic() - said > SAID:
            said = time.monotonic()
            print(f"{file.name}: {part.tell() / file.size:.0%}", file=sys.stderr, flush=True)


def stream(url: str, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The content of `url` in blocks, each with its place in the file.

    The first block is at `start`, or at 0 if the server cannot start elsewhere. Raises
    `Unavailable` if no answer comes in time, or it ends early.
    """
    answer: SimpleQueue = SimpleQueue()
    Thread(target=_ask, args=(url, start, answer), daemon=True).start()
    try:
        # The look-up of a name has no time limit, and each address of it gets a new one.
        response = answer.get(timeout=ANSWER)
        if isinstance(response, Exception):
            raise response
        with response:
            yield from _blocks(response, start)
    except Empty as error:
        raise Unavailable(f"no answer in {ANSWER} seconds") from error
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
            if error.code == 416 and start:  # there is nothing after `start`
                yield from stream(url)
                return
        raise Unavailable(str(error) or repr(error)) from error


def _ask(url: str, start: int, answer: SimpleQueue) -> None:
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        answer.put(urlopen(Request(url, headers=headers), timeout=STALL))
    except Exception as error:
        answer.put(error)


def _blocks(response: HTTPResponse, start: int) -> Iterator[tuple[int, bytes]]:
    first = 0
    if response.status == 206:
        first = start
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise Unavailable("it sent another part than we asked for")
    length, place, begun = response.length, first, time.monotonic()
    while block := response.read1(BLOCK):
        yield place, block
        place += len(block)
        seconds = time.monotonic() - begun
        if seconds > PATIENCE and place - first < SLOWEST * seconds:
            raise Unavailable(f"it sent less than {SLOWEST} bytes per second")
    if length is not None and place - first < length:
        raise Unavailable(f"the connection broke after {place:,} of {first + length:,} bytes")


@contextmanager
def _alone(path: Path) -> Iterator[BinaryIO]:
    """Open `path` to append to it, one process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("ab") as file:
            with suppress(OSError):  # a network file system may have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):  # the process before may have renamed it
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    yield file
                    return
