"""The splits that the names of files of many images say, as train-00000-of-00002.parquet does."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath

from unlabel.dataset._layout import UNLABELLED, meaning
from unlabel.errors import UserError

# A name, the number of its shard, and the digest that older versions of `datasets` put behind it.
SHARD = re.compile(r"(.+?)([-_.]\d+([-_.]of[-_.]\d+)?)?(-[0-9a-f]{8,})?", re.DOTALL)


def splits(root: Path, files: Sequence[Path], mend: str) -> dict[Path, str]:
    """The split of each file below `root`; nothing if no name says one.

    Raises `UserError` if a name says two, only some names say one, or none is to train on; `mend`
    says what to set then.
    """
    words = {file: said_by(file.relative_to(root)) for file in files}
    if unclear := [file for file in files if len(words[file]) > 1]:
        each = " and of ".join(sorted(words[min(unclear)]))
        raise UserError(
            f"the name of {min(unclear)} says that it is of {each}; rename it, or {mend}"
        )
    found = {file: min(word) for file, word in words.items() if word}
    if found and len(found) < len(words):
        other = min(file for file in words if file not in found)
        raise UserError(
            f"the name of {min(found)} says that it is of {found[min(found)]}, but the name of "
            f"{other} says no split; rename it, or {mend}"
        )
    if found and not {"train", UNLABELLED} & {*found.values()}:
        raise UserError(
            f"the name of {min(found)} says that it is of {found[min(found)]}, but there is none "
            f"to train on; add one, or {mend}"
        )
    return found


def said_by(name: PurePath) -> set[str]:
    """The splits, or `UNLABELLED`, that a file's name says, or else the nearest of its folders.

    train, mnist-train, train-00000-of-00002, imagenet-val-000006, test/0000
    """
    shard = SHARD.fullmatch(name.stem)
    assert shard is not None
    for words in ([shard[1]], re.split("[-_. ]", shard[1])):
        found = {split for word in words if (split := meaning(word))}
        if found == {"train", UNLABELLED}:  # to train on, without labels
            return {UNLABELLED}
        if found:
            return found
    folders = (split for folder in reversed(name.parent.parts) if (split := meaning(folder)))
    return {*islice(folders, 1)}
