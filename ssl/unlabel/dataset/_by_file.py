"""The splits that the names of files of many images say, as train-00000-of-00002.parquet does."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from unlabel.dataset._layout import meaning
from unlabel.errors import UserError

SHARD = re.compile(r"(.+?)[-_.]\d+([-_.]of[-_.]\d+)?")


def splits(root: Path, files: Sequence[Path], mend: str) -> dict[Path, str]:
    """The split of each file below `root`; nothing if no name says one.

    Raises `UserError` if only some names do; `mend` says what to set then.
    """
    words = {file: said_by(file.relative_to(root)) for file in files}
    found = {file: word for file, word in words.items() if word}
    if found and len(found) < len(words):
        other = min(file for file in words if file not in found)
        raise UserError(
            f"the name of {min(found)} says that it is of {found[min(found)]}, but the name of "
            f"{other} says no split; rename it, or {mend}"
        )
    return found


def said_by(name: PurePath) -> str | None:
    """The split, or `UNLABELLED`, that a file's name says, or else the nearest of its folders.

    train-00000-of-00002, imagenet-val-000006, test/0000
    """
    shard = SHARD.fullmatch(name.stem)
    words = [shard[1], re.split(r"[-_.]", shard[1])[-1]] if shard else []
    words += reversed(name.parent.parts)
    return next((split for word in words if (split := meaning(word))), None)
