"""Read the members of an archive without unpacking it: nothing is written to disk."""

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
    """A regular file in a folder or an archive. Read it before you ask for the next one."""

    name: str  # with / between folders
    size: int  # bytes
    stream: IO[bytes]
    path: Path  # of the folder or the archive

    def read(self, size: int | None = None) -> bytes:
        """The next `size` bytes, or all. Raises `UserError` if the file is shorter."""
        wanted = self.size if size is None else size
        with _damage(self.path):
            content = self.stream.read(wanted)
            if len(content) < wanted:
                raise EOFError(f"{self.name} ends early")
        return content


def published(path: Path, checksum: str, files: Mapping[str, str], limit: int) -> Iterator[Member]:
    """The members of an archive with this checksum, or the wanted files of a folder.

    `files` has the name and the checksum of each file wanted from a folder. Raises `UserError` if
    a checksum is wrong, a file is missing, or `members` refuses the archive.
    """
    if not path.is_dir():
        yield from members(check(path, checksum), limit)
        return
    for name, right in files.items():
        if not (path / name).is_file():
            raise UserError(f"{path} has no {name}; add it, or remove the folder")
        with check(path / name, right).open("rb") as stream:
            yield Member(name, (path / name).stat().st_size, stream, path)


def members(path: Path, limit: int) -> Iterator[Member]:
    """The regular files below a folder, or in a zip or gzipped tar archive; links are skipped.

    Raises `UserError` if an archive is damaged, holds more than `limit` bytes, has a name or a link
    that leads out of it, or holds anything but files, folders and links.
    """
    read = _of_zip if path.suffix == ".zip" else _of_tar
    with _damage(path):
        yield from _of_folder(path) if path.is_dir() else read(path, limit)


def _of_folder(path: Path) -> Iterator[Member]:
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
                raise _refused(path, entry.filename, "is not a file")
            if entry.flag_bits & 1:
                raise _refused(path, entry.filename, "is encrypted")
            if not entry.is_dir():
                with archive.open(entry) as stream:  # it ends at the size that the archive states
                    yield Member(entry.filename, entry.file_size, stream, path)


def _of_tar(path: Path, limit: int) -> Iterator[Member]:
    with gzip.open(path) as plain:
        bounded = cast(IO[bytes], _Bounded(cast(IO[bytes], plain), path, limit))
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            total = 0
            for entry in archive:
                _check_name(path, entry.name)
                total += entry.size  # a sparse file states more than it takes up
                _check_size(path, total, limit)
                if entry.isfile():
                    if stream := archive.extractfile(entry):
                        yield Member(entry.name, entry.size, stream, path)
                elif entry.issym():
                    _check_link(path, entry.name, PurePosixPath(entry.name).parent, entry.linkname)
                elif entry.islnk():
                    _check_link(path, entry.name, PurePosixPath(), entry.linkname)
                elif not entry.isdir():
                    raise _refused(path, entry.name, "is not a file")


class _Bounded:
    """Reads a stream up to a limit, as even a header of a tar archive may have any size."""

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
            f"{path} holds more than {limit:,} bytes, more than was published; delete it"
        )


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or PureWindowsPath(name).drive:
        raise _refused(path, name, "leads out of it")


def _check_link(path: Path, name: str, base: PurePosixPath, target: str) -> None:
    if posixpath.normpath(posixpath.join(base, target)).startswith(("/", "..")):
        raise _refused(path, name, f"is a link that leads out of it, to {target!r}")


def _refused(path: Path, name: str, why: str) -> UserError:
    return UserError(f"{path} has {name!r}, which {why}; nothing was unpacked. Get another copy")


def _damage(path: Path) -> AbstractContextManager[None]:
    return damage(f"{path} is cut short or damaged", "delete it, start again")
