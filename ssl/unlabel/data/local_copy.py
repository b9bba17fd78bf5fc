"""A copy of a prepared set on a disk of this machine, made once for all its processes.

A training reads images in random order, which is slow over a network. The copies lie in a folder of
this user in TMPDIR. Its name says what a copy is of: the path, size, time and inode of the file.
A process locks (flock) the copy that it reads, and the part that it writes. What nobody locks may
go. If a copy cannot be made, the file is read where it is: no training fails for it.
"""

import fcntl
import hashlib
import math
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from unlabel.errors import UserError, reason
from unlabel.files import mounts
from unlabel.files.own_folder import own_folder
from unlabel.units import size

ASKED = "UNLABEL_LOCAL_COPY"  # auto, true or false: `placement.local_copy`, set by the workflow
FOLDER = "unlabel-copies"
ROOM = 1.1  # times its size that a copy needs
BLOCK = 1 << 24  # bytes
TOGETHER = 600.0  # seconds that processes which train together give a copy, as they wait for all
SECONDS = 0.2  # between two looks at a lock
LOOK = 10.0  # seconds of copying after which it is clear how long it takes

held: list[IO[bytes]] = []  # the copies that this process reads, open and locked until it ends


class NoCopy(Exception):
    """Why there is no copy."""


def install() -> None:
    """Let this process read copies, if it is asked to. Raises `UserError` for an unknown wish."""
    asked = os.environ.get(ASKED, "false")
    if asked not in ("auto", "true", "false"):
        raise UserError(f"{ASKED} is {asked!r}, but must be auto, true or false")
    if asked != "false":
        from unlabel.data import nearby  # loads torch

        nearby.copies[:] = [local]


def local(path: Path) -> Path:
    """Where to read a file: at a copy, or where it is. Says which, if a copy was wanted.

    `auto` wants one of a file on a network, on a disk of this machine; `true` wants one anyway.
    """
    try:
        if not _wanted(path):
            return path
        copy = _copy(path, own_folder(FOLDER))
    except (NoCopy, UserError, OSError) as error:
        why = getattr(error, "strerror", None) or reason(error)
        print(f"{path} is read where it is, without a copy: {why}", file=sys.stderr)
        return path
    print(f"{path} is read from {copy}, a copy of {size(copy.stat().st_size)}", file=sys.stderr)
    return copy


def _wanted(path: Path) -> bool:
    """Raises `NoCopy` if nobody has asked for a copy and TMPDIR is no place for one."""
    asked = os.environ.get(ASKED, "false")
    if asked != "auto":
        return asked == "true" and path.exists()
    if not mounts.on_network(mounts.here(path)) or not path.exists():
        return False
    place = Path(tempfile.gettempdir())
    kind = mounts.here(place)
    if mounts.on_network(kind) or kind in mounts.MEMORY:  # a job's memory counts what is there
        raise NoCopy(
            f"{place} is on no disk of this machine ({kind}); set TMPDIR to a folder there"
        )
    return True


def _copy(path: Path, place: Path) -> Path:
    """The copy of a file, found or made. Raises `NoCopy` or `OSError` if there is none."""
    key = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    identity = _identity(path)
    copy, part = place / f"{key}-{identity}{path.suffix}", place / f"{key}.part"
    with (place / f"{key}.lock").open("ab") as lock:
        waited = _wait(lock, path)
        if _hold(copy):
            return copy
        if waited and not part.exists():  # a process that was killed leaves its part
            raise NoCopy("another process has tried to make it")
        for old in (*place.glob(f"{key}-*"), *place.glob("*.part")):
            _remove_unused(old)
        _make_room(place, path.stat().st_size)
        print(f"{path} is being copied to {place}", file=sys.stderr)
        with part.open("ab") as to:
            fcntl.flock(to, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                _write(path, to)
                if _identity(path) != identity:
                    raise NoCopy("it has changed meanwhile")
                part.replace(copy)
            finally:
                part.unlink(missing_ok=True)
        if not _hold(copy):
            raise NoCopy("it was removed at once")
    return copy


def _identity(path: Path) -> str:
    about = path.stat()
    return f"{about.st_size}-{about.st_mtime_ns}-{about.st_ino}"


def _limit() -> float:
    """The seconds that this process may spend on a copy."""
    return TOGETHER if "LOCAL_RANK" in os.environ else math.inf


def _wait(lock: IO[bytes], path: Path) -> bool:
    """Lock a file for this process -> did another one have it? Raises `NoCopy` if it keeps it."""
    until, waited = time.monotonic() + _limit(), False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return waited
        except BlockingIOError:
            if time.monotonic() > until:
                raise NoCopy("another process is still making it") from None
        if not waited:
            print(f"waiting for another process, which copies {path}", file=sys.stderr)
        waited = True
        time.sleep(SECONDS)


def _hold(copy: Path) -> bool:
    """Keep a copy as long as this process lives; False if it is not there."""
    with ExitStack() as opened, suppress(FileNotFoundError):
        file = opened.enter_context(copy.open("rb"))
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(file.fileno()), copy.stat()):
            held.append(file)
            opened.pop_all()
            return True
    return False


def _remove_unused(path: Path) -> None:
    """Remove a copy or a part that no process locks."""
    with suppress(BlockingIOError, FileNotFoundError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _make_room(place: Path, count: int) -> None:
    """Remove the copies of other sets, if room is short. Raises `NoCopy` if it still is."""
    needed = math.ceil(ROOM * count)
    if shutil.disk_usage(place).free < needed:
        for other in place.glob("*-*"):
            _remove_unused(other)
    if (free := shutil.disk_usage(place).free) < needed:
        raise NoCopy(
            f"{place} has room for {size(free)}, but a copy needs {size(needed)}; "
            "set TMPDIR to a folder with more"
        )


def _write(path: Path, to: IO[bytes]) -> None:
    """Copy a file to the disk. Raises `NoCopy` if processes that train together cannot wait."""
    to.truncate(0)
    limit, count, done, began = _limit(), path.stat().st_size, 0, time.monotonic()
    with path.open("rb") as source:
        while block := source.read(BLOCK):
            done += to.write(block)
            passed = time.monotonic() - began
            if passed > LOOK and passed * count / done > limit:
                raise NoCopy(f"it would take more than {limit / 60:g} minutes")
    to.flush()
    os.fsync(to.fileno())
