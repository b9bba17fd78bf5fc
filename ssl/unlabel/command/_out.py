"""The file that a command is told to write to."""

import os
from pathlib import Path

from unlabel.errors import UserError
from unlabel.files import check_file

LONGEST = 180  # bytes of a name: file systems allow 255, and a file that is not yet whole has more


def check_out(path: Path) -> None:
    """Raise `UserError` if `path` cannot become a file, before there is any work to lose.

    A file gets its name last, in place of what has it: of a device such as /dev/null, too.
    """
    if (length := len(os.fsencode(path.name))) > LONGEST:
        raise UserError(
            f"{path.name[:20]}... is a name of {length} bytes; choose one of {LONGEST} or fewer"
        )
    check_file(path)
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is a device or a pipe, not a file; name a file to write to")
    above = next((each for each in path.parents if each.exists()), None)
    if above is not None and not above.is_dir():
        raise UserError(f"{above} is a file, so {path} cannot be in it; name another file")
