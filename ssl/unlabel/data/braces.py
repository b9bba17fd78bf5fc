"""Paths with braces, as shards are often named: train-{000000..000146}.tar, {train,val}-0.tar."""

import re

from unlabel.errors import UserError

GROUP = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
MOST = 1_000_000  # paths


def expanded(path: str) -> list[str]:
    """All paths that one with braces stands for, in order. Braces with one text in them stay.

    Raises `UserError` if there are more than a million.
    """
    group = GROUP.search(path)
    if not group:
        return [path]
    before, rest = path[: group.start()], expanded(path[group.end() :])
    choices = _choices(group[1], path) or [group[0]]
    if len(choices) * len(rest) > MOST:
        raise UserError(f"{path} stands for more than {MOST:,} files; write smaller numbers in it")
    return [before + choice + each for choice in choices for each in rest]


def _choices(inside: str, path: str) -> list[str]:
    """`08..10` -> 08, 09, 10; `a,b` -> a, b; anything else -> nothing."""
    if found := RANGE.fullmatch(inside):
        first, last = int(found[1]), int(found[2])
        if last - first >= MOST:
            raise UserError(f"{path} stands for more than {MOST:,} files; write a smaller range")
        padded = any(end.startswith("0") and len(end) > 1 for end in found.groups())
        width = max(map(len, found.groups())) if padded else 0
        if first > last:
            raise UserError(f"{path} counts down in {{{inside}}}; write the smaller number first")
        return [f"{number:0{width}}" for number in range(first, last + 1)]
    return inside.split(",") if "," in inside else []
