"""The processes that work in a folder, from /proc."""

from pathlib import Path


def within(folder: Path) -> list[int]:
    """Their numbers. To look is cheap, as a test may look many times a second."""
    folder, found = folder.resolve(), []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                if (process / "cwd").readlink() == folder:
                    found.append(int(process.name))
            except OSError:  # another user's, or it has ended
                continue
    return found
