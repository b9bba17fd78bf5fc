"""A folder for this user alone in the temporary folder, which all users of a machine share."""

import os
import stat
import tempfile
from pathlib import Path

from unlabel.errors import UserError


def own_folder(name: str) -> Path:
    """The folder NAME-USER, made if need be. Raises `UserError` if others have a hand in it."""
    place = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    about = place.lstat()  # a symlink is somebody's trick
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
        raise UserError(f"{place} belongs to another user; remove it, or set TMPDIR to a folder")
    if about.st_mode & 0o022:
        raise UserError(f"others may write to {place}; remove it, or set TMPDIR to a folder")
    return place
