"""The looks of a study: how many seeds its claims are judged after."""

from collections.abc import Mapping, Sequence
from typing import Any

from unlabel.errors import UserError

SEEDS = 3  # the fewest that a claim needs
MOST = 1000  # seeds of a study: a typing error would otherwise plan millions of runs
LOOKS = [6, 12, 20]  # of a study that has neither seeds nor looks of its own
MADE = "made"  # as many looks as the trained runs allow

Asked = int | str | None  # how many looks at each study: a number, MADE, or None for all


def seeds_of_looks(content: Mapping[str, Any], where: str) -> dict[str, list[int]]:
    """The seeds and the looks of a study; without seeds of its own it is judged at looks."""
    if "seeds" in content:
        if content.get("looks"):
            raise UserError(f"{where} has both seeds and looks; leave one of them out")
        return {}
    looks = content.get("looks", LOOKS)
    if (
        not isinstance(looks, list)
        or not looks
        or not all(isinstance(each, int) and not isinstance(each, bool) for each in looks)
        or looks != sorted(set(looks))
        or looks[0] < SEEDS
        or looks[-1] > MOST
    ):
        raise UserError(
            f"{where}.looks is {looks!r}, but must be growing numbers of seeds, {SEEDS} to {MOST:,}"
        )
    return {"seeds": list(range(looks[-1])), "looks": looks}


def asked(config: Mapping[str, Any]) -> Asked:
    """How many looks at each study `--config looks=N` allows.

    Raises `UserError` if it is no number of looks and not `made`.
    """
    looks: Asked = config.get("looks")
    if looks is None or looks == MADE:
        return looks
    if not isinstance(looks, int) or isinstance(looks, bool) or looks < 1:
        raise UserError(f"--config looks={looks} must be a number of looks, 1 or more, or {MADE}")
    return looks


def seeds_until(looks: Sequence[int], asked: int | None) -> int | None:
    """The seeds of the last look that is asked for; None if that is the last of all."""
    return looks[asked - 1] if asked and asked < len(looks) else None
