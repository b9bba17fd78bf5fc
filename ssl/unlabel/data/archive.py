"""What is in an archive, read without unpacking it: nothing is written, whatever its names are."""

import gzip
import posixpath
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast
from zipfile import ZipFile

from unlabel.data.download import check
from unlabel.errors import UserError, damage


@dataclass(frozen=True)
class Member:
    """A regular file in a folder or an archive, to be read before the next one is asked for."""

    name: str  # with / between its parts
    size: int  # bytes
    stream: IO[bytes]
    path: Path  # of the folder or the archive

    def read(self, size: int | None = None) -> bytes:
        """The next `size` bytes, or all. Raises `UserError` if they are not there."""
        wanted = self.size if size is None else size
        with _damage(self.path):
            content = self.stream.read(wanted)
            if len(content) < wanted:
                raise EOFError(f"{self.name} ends early")
        return content


def published(path: Path, checksum: str, files: Mapping[str, str], limit: int) -> Iterator[Member]:
    """The members of an archive that has this checksum, or those of a folder that have their own.

    `files` has the name and checksum of each file that is wanted of a folder. Raises `UserError`
    if any is wrong or missing, and for what `members` refuses.
    """
    if not path.is_dir():
        yield from members(check(path, checksum), limit)
        return
    for name, right in files.items():
        if not (path / name).is_file():
            raise UserError(f"{path} has no {name}; add it, or take the folder away")
        with check(path / name, right).open("rb") as stream:
            yield Member(name, (path / name).stat().st_size, stream, path)


def members(path: Path, limit: int) -> Iterator[Member]:
    """The regular files below a folder, or in a zip or gzipped tar archive.

    Raises `UserError` if an archive is damaged, holds more than `limit` bytes, or has a name or a
    link that leads out of it, or anything but files, folders and links. Links are passed over.
    """
    kinds = {True: _of_folder, False: _of_zip if path.suffix == ".zip" else _of_tar}
    with _damage(path):
        yield from kinds[path.is_dir()](path, limit)


def _of_folder(path: Path, limit: int) -> Iterator[Member]:
    for each in sorted(path.rglob("*")):
        if each.is_file():
            with each.open("rb") as stream:
                yield Member(each.relative_to(path).as_posix(), each.stat().st_size, stream, path)


def _of_zip(path: Path, limit: int) -> Iterator[Member]:
    with ZipFile(path) as archive:
        entries = archive.infolist()
        _check_size(path, sum(entry.file_size for entry in entries), limit)
        for entry in entries:
            _check_name(path, entry.filename)
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(path, entry.filename, "is no file")
            if entry.flag_bits & 1:
                raise _refused(path, entry.filename, "is encrypted")
            if not entry.is_dir():
                with archive.open(entry) as stream:  # ends where the size that is stated does
                    yield Member(entry.filename, entry.file_size, stream, path)


def _of_tar(path: Path, limit: int) -> Iterator[Member]:
    with gzip.open(path) as plain:
        bounded = cast(IO[bytes], _Bounded(cast(IO[bytes], plain), path, limit))
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            total = 0
            for entry in archive:
                _check_name(path, entry.name)
                total += entry.size  # a sparse file's is more than it takes up
                _check_size(path, total, limit)
                if entry.isfile():
                    if stream := archive.extractfile(entry):
                        yield Member(entry.name, entry.size, stream, path)
                elif entry.issym():
                    _check_link(path, entry.name, PurePosixPath(entry.name).parent, entry.linkname)
                elif entry.islnk():
                    _check_link(path, entry.name, PurePosixPath(), entry.linkname)
                elif not entry.isdir():
                    raise _refused(path, entry.name, "is no file")


class _Bounded:
    """Reads a stream up to a limit: a header of a tar archive, too, may be of any size."""

    def __init__(self, stream: IO[bytes], path: Path, limit: int):
        self.stream, self.path, self.limit, self.total = stream, path, limit, 0

    def read(self, size: int) -> bytes:
        block = self.stream.read(size)
        self.total += len(block)
        _check_size(self.path, self.total, self.limit)
        return block


def _check_size(path: Path, total: int, limit: int) -> None:
    if total > limit:
        raise UserError(
            f"{path} holds more than {limit:,} bytes, which what was published does not; delete it"
        )


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or PureWindowsPath(name).drive:
        raise _refused(path, name, "leads out of it")


def _check_link(path: Path, name: str, base: PurePosixPath, target: str) -> None:
    if posixpath.normpath(posixpath.join(base, target)).startswith(("/", "..")):
        raise _refused(path, name, f"is a link that leads out of it, to {target!r}")


def _refused(path: Path, name: str, why: str) -> UserError:
    return UserError(f"{path} has {name!r}, which {why}; nothing was unpacked: get another copy")


def _damage(path: Path) -> AbstractContextManager[None]:
    return damage(f"{path} is cut short or damaged", "delete it, start again")
