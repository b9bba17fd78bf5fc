"""Files that editors and systems leave beside the code count for nothing.

`others` counts all files that are no code, and a training's own fingerprint covers `others`: were
that changed, all published results would be stale. But it remembers what it found of a folder. So
it is asked first, of folders that do not show such files.
"""

from collections.abc import Generator
from pathlib import PosixPath

from unlabel.fingerprint import others, reach
from unlabel.fingerprint.content import is_stray


class _Tidy(PosixPath):
    """A folder without strays; it equals the same folder with them."""

    def iterdir(self) -> Generator["_Tidy", None, None]:
        return (path for path in super().iterdir() if not is_stray(path.name))


def leave_out() -> None:
    """Let no fingerprint of this process depend on strays; to be called before the first."""
    for init in reach.PACKAGE.rglob("__init__.py"):
        others(_Tidy(init.parent))
