"""What DVC could bring back."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def lost(folders: Iterable[Path], of: Path) -> dict[Path, list[Path]]:
    """The files in each of `folders`, below `of`, that DVC could not bring back were they removed.

    It could what the last commit has with just this content, and DVC in its cache.
    """
    safe = _safe(of)
    return {
        folder: [file for file in sorted(folder.rglob("*")) if file.is_file() and file not in safe]
        for folder in folders
    }


def _safe(folder: Path) -> set[Path]:
    """The files below a folder that are as the last commit has them, and are in DVC's cache."""
    command = [sys.executable, "-m", "dvc", "data", "status", "--granular", "--unchanged", "--json"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    if done.returncode:  # no repository of DVC, or one that is broken: it could bring back nothing
        return set()
    status = json.loads(done.stdout)
    return set(map(Path, status.get("unchanged", []))) - set(
        map(Path, status.get("not_in_cache", []))
    )
