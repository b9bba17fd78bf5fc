"""Find the image files in a folder, and count what is left out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unlabel.data.decode import FORMATS
from unlabel.data.names import as_text, few
from unlabel.errors import UserError

# The format that each ending of a name stands for. The content decides; this is only for finding.
ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp"), "JPEG"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"), "JPEG2000"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".pbm", ".pgm", ".ppm", ".pnm"), "PPM"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    **{".gif": "GIF", ".webp": "WEBP", ".avif": "AVIF", ".npy": "NPY"},
}
# Why a file is left out.
LINKED_FOLDER = "a link to a folder (links=true follows it)"
LINKED_FILE = "a link out of the folder (links=true follows it)"
LINKED_TWICE = "a link to a folder that is read anyway"
HIDDEN = "hidden"
OTHER = "no image by its name"
UNSUPPORTED = {
    "HEIF": "HEIC, which needs pillow-heif (pip install pillow-heif)",
    "AVIF": "AVIF, which needs Pillow 11.3 or newer",
}

Skipped = dict[str, list[str]]  # the names of files that are left out, by the reason


class Found(NamedTuple):
    """The image files of a folder."""

    paths: list[Path]  # in order
    skipped: Skipped  # names below the folder


def is_read(format: str) -> bool:
    """Whether images of a format can be read here."""
    return format == "NPY" or format in FORMATS


def is_image(name: str) -> bool:
    """Whether a name is that of an image that can be read here, and not of a hidden file."""
    last = name.rpartition("/")[2]
    format = ENDINGS.get("." + last.rpartition(".")[2].lower())
    return format is not None and is_read(format) and not last.startswith(".")


def find(folder: Path, links: bool = False) -> Found:
    """All files below `folder` whose names end as an image's does, in the order of their paths.

    With `links`, links to folders and links that lead out of `folder` are followed. Raises
    `UserError` if `folder` is not a folder or something in it cannot be read.
    """
    found, skipped = names(folder, links)
    return Found([Path(folder, name) for name in found], skipped)


def names(folder: Path, links: bool = False) -> tuple[list[str], Skipped]:
    """What `find` finds, as names below the folder, which take a quarter of the time of paths."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that has images in it")
    walk = _Walk(folder, links)
    try:
        found = sorted(walk.below(""), key=lambda name: name.split("/"))
    except OSError as error:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error
    return found, {reason: sorted(walk.skipped[reason]) for reason in sorted(walk.skipped)}


def no_images(folder: Path, skipped: Skipped) -> UserError:
    """The error for a folder in which `find` found no image."""
    endings = ", ".join(sorted(end for end, format in ENDINGS.items() if is_read(format)))
    why = "; ".join(say(skipped)) or "it is empty"
    return UserError(
        f"{folder} has no images that can be read ({why}); their names must end in {endings}"
    )


def say(skipped: Skipped) -> Iterator[str]:
    """For each reason, how many files were left out, and the first names."""
    for reason, names in skipped.items():
        yield f"{len(names)} left out, {reason}: {few(names)}"


class _Walk:
    """One walk through a folder; `skipped` fills up on the way."""

    def __init__(self, folder: Path, links: bool):
        self.folder, self.links = str(folder), links
        self.root = os.path.realpath(folder)
        self.linked: set[str] = set()  # folders outside that a link led to
        self.skipped: Skipped = {}

    def below(self, folder: str) -> Iterator[str]:
        """The names of the images below a folder; it and they are relative to the root."""
        folders = list[tuple[str, os.DirEntry]]()
        with os.scandir(f"{self.folder}/{folder}") as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if _is_folder(entry):
                    folders.append((name, entry))
                elif self._is_image(entry, name):
                    yield name
        # Of two links to one folder the first is followed, so the file system's order must not say
        # which is first.
        for name, entry in sorted(folders, key=lambda each: each[0]):
            if not entry.name.startswith(".") and self._enters(entry, name):
                yield from self.below(name)

    def _enters(self, entry: os.DirEntry, name: str) -> bool:
        if not entry.is_symlink():
            return True
        target = os.path.realpath(entry.path)
        if self._is_inside(target) or target in self.linked:
            return self._skip(LINKED_TWICE, name)
        if not self.links:
            return self._skip(LINKED_FOLDER, name)
        self.linked.add(target)
        return True

    def _is_image(self, entry: os.DirEntry, name: str) -> bool:
        _, dot, ending = entry.name.rpartition(".")
        format = ENDINGS.get(dot + ending.lower())
        if format is None:
            # Nobody misses a hidden file that is not an image.
            return not entry.name.startswith(".") and self._skip(OTHER, name)
        if entry.name.startswith("."):
            return self._skip(HIDDEN, name)
        if not is_read(format):
            return self._skip(UNSUPPORTED[format], name)
        if (
            entry.is_symlink()
            and not self.links
            and not self._is_inside(os.path.realpath(entry.path))
        ):
            return self._skip(LINKED_FILE, name)
        return True

    def _is_inside(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root.rstrip("/") + "/")

    def _skip(self, reason: str, name: str) -> bool:
        self.skipped.setdefault(reason, []).append(as_text(name))
        return False


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def shortened(skipped: Skipped, first: int = 10) -> dict[str, dict[str, object]]:
    """How many files each reason left out, and the first names, for a report."""
    return {
        reason: {"files": len(names), "first": names[:first]} for reason, names in skipped.items()
    }
