"""Read a prepared set from a copy nearby, if this process was told how to make one.

Only this counts as code of a training. How copies are made does not: `unlabel.data.local_copy`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.errors import UserError

copies: list[Callable[[Path], Path]] = []  # each gives a copy of a file, or the file itself


def read(path: Path) -> tuple[Images, Data]:
    """`images.read`, from a copy if there is a whole one. Raises as that does for `path`."""
    for copied in copies:
        if (copy := copied(path)) != path:
            try:
                return images.read(copy)
            except (UserError, OSError):
                print(f"the copy {copy} is damaged, so {path} is read where it is", file=sys.stderr)
                copy.unlink(missing_ok=True)
    return images.read(path)
