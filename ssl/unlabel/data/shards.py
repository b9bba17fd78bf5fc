"""Shards: .tar archives of images, indexed and read in place, never unpacked."""

import os
import tarfile
from pathlib import Path
from typing import NamedTuple

from unlabel.data.braces import expanded
from unlabel.data.decode import LARGEST, Unreadable
from unlabel.data.image_files import HIDDEN, Skipped, say
from unlabel.data.names import as_text, few
from unlabel.errors import UserError, damage

ENDING = ".tar"
CLASS_NAMES = "classnames.txt"  # beside the shards: a line for each class, from 0 on
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4")
COMPRESSED = "compressed, which cannot be read in place (gunzip unpacks .gz)"
OTHER = "no shard by its name"
NO_FILE = "a link or a device"


class Shards(NamedTuple):
    """The shards of a dataset."""

    root: Path  # the folder that their names start at
    files: list[Path]  # in order
    skipped: Skipped  # names of other files below a folder

    def name(self, file: Path) -> str:
        """The name of a file: its path below the root."""
        return as_text(file.relative_to(self.root))

    def named(self) -> list[tuple[str, Path]]:
        """The names and the paths of all files that count: the shards, and the classes' names."""
        names = self.root / CLASS_NAMES
        every = [*self.files, names] if names.is_file() else self.files
        return [(self.name(file), file) for file in every]


class Member(NamedTuple):
    """A file in a shard."""

    name: str
    offset: int  # of its first byte in the shard
    size: int  # bytes


def find(path: str) -> Shards:
    """The shards that `path` names: a .tar file, all below a folder, or a path with braces.

    Raises `UserError` if there are none, or one is missing.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return _below(place)
    if place.exists():
        files = [place]
    else:
        files = [Path(each).expanduser() for each in expanded(path)]
        missing = [str(file) for file in files if not file.exists()]
        if len(missing) == len(files):
            raise UserError(
                f"{place} does not exist; say where your shards are, as in path=FOLDER or "
                "path='train-{000000..000146}.tar'"
            )
        if missing:
            raise UserError(
                f"{path} stands for {len(files)} shards, but {len(missing)} do not exist: "
                f"{few(missing)}; get these, or name fewer"
            )
    if other := next((file for file in files if file.suffix.lower() != ENDING), None):
        raise UserError(f"{other} is not a shard; its name must end in {ENDING}")
    return Shards(_parent(path), sorted(files), {})


def index(shard: Path) -> tuple[list[Member], list[str]]:
    """All files of a shard, and the names of what is no plain file, such as links.

    Raises `UserError` if it is cut short or damaged.
    """
    members, others = list[Member](), list[str]()
    with (
        damage(f"{shard} is cut short or damaged", "get a whole copy"),
        shard.open("rb") as file,
        tarfile.open(fileobj=file, mode="r:") as archive,
    ):
        for entry in archive:
            if entry.isreg() and not entry.issparse():
                members.append(Member(entry.name, entry.offset_data, entry.size))
            elif not entry.isdir():
                others.append(as_text(entry.name))
        file.seek(archive.offset)  # tarfile takes a cut between two members for the end
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("it has no end")
    return members, others


def read(shard: Path, offset: int, size: int) -> bytes:
    """The bytes of a member. Raises `OSError`, or `Unreadable` if it is too large or cut short."""
    if size > LARGEST:
        raise Unreadable(f"it has more than {LARGEST:,} bytes")
    with shard.open("rb") as file:
        content = os.pread(file.fileno(), size, offset)
    if len(content) < size:
        raise Unreadable("its shard is cut short")
    return content


def _below(folder: Path) -> Shards:
    files, skipped = list[Path](), Skipped()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.name.lower()
        if name.endswith(ENDING) and not name.startswith("."):
            files.append(path)
        elif path != folder / CLASS_NAMES and (name.endswith(ENDING) or name[0] != "."):
            packed = COMPRESSED if name.endswith(PACKED) else OTHER
            why = HIDDEN if name.startswith(".") else packed
            skipped.setdefault(why, []).append(as_text(path.relative_to(folder)))
    if not files:
        why = "; ".join(say(skipped)) or "it is empty"
        raise UserError(f"{folder} has no shards ({why}); their names must end in {ENDING}")
    return Shards(folder, files, skipped)


def _parent(path: str) -> Path:
    """The last folder of a path that is before all braces."""
    parts = Path(path).expanduser().parts[:-1]
    plain = next((at for at, part in enumerate(parts) if "{" in part), len(parts))
    return Path(*parts[:plain])
