"""The runs of a study's looks: all arms' first seeds, then those that open claims need.

The file of a look, which the stage `look` writes, names the runs that the next look needs.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.params.looks import MADE
from unlabel.run import Run, files_of

Look = Callable[[int], str | None]  # the file of the look after so many seeds; None if none yet
LOOK = "data/looks/{budget}/{study}/{seeds}.json"


@dataclass(frozen=True)
class Reached:
    """What is known of a study's runs."""

    runs: tuple[Run, ...]  # needed
    looks: tuple[str, ...]  # the files that say so
    possible: tuple[Run, ...] = ()  # needed if claims stay open
    lacks_look: bool = False  # is the look missing that says which of them are?


def reached(study: Mapping[str, Any], look: Look, until: int | None = None) -> Reached:
    """The runs of a frozen study at the last look asked for, or at the one after `until` seeds."""
    seeds, last = study["seeds"], until or study["until"] or len(study["seeds"])
    sizes = [size for size in study["looks"] if size <= last] or [len(seeds)]
    first, every = set(seeds[: sizes[0]]), set(seeds[: sizes[-1]])
    folders = dict.fromkeys(run["folder"] for run in study["runs"] if run["seed"] in first)
    looks = list[str]()
    for size in sizes[:-1] if study["claims"] else ():
        if (path := look(size)) is None:
            others = dict.fromkeys(run["folder"] for run in study["runs"] if run["seed"] in every)
            possible = _runs(each for each in others if each not in folders)
            return Reached(_runs(folders), tuple(looks), possible, lacks_look=True)
        looks.append(path)
        if not (following := _look(path)["following"]):
            break
        folders |= dict.fromkeys(following)
    return Reached(_runs(folders), tuple(looks))


def files(
    study: Mapping[str, Any], probes: Sequence[str], look: Look, until: int | None
) -> list[str]:
    """The files that a frozen study reads then, of the `probes` of every run only if needed."""
    wanted = ["params.yaml", "run.json", "log.parquet"]
    if study["stages"]["probe"]:
        wanted += [f"metrics/{probe}.json" for probe in probes]
    if study["stages"]["finetune"]:
        wanted.append("metrics/finetune.json")
    own = (name for name in study["probes"] if name not in (*probes, "finetune"))
    wanted += [f"metrics/{probe}.json" for probe in own]
    wanted += [f"transfer/{dataset}.json" for dataset in study["transfer"]]
    found = reached(study, look, until)
    return [*found.looks, *files_of(found.runs, *wanted)]


def foreseen(study: Mapping[str, Any], settings: str, until: int | None = None) -> Reached:
    """`reached` as far as the looks on disk tell.

    Those with other frozen `settings` than a look has now, or damaged, tell nothing.
    """
    known = {run["folder"] for run in study["runs"]}

    def look(size: int) -> str | None:
        path = LOOK.format(budget=study["budget"], study=study["name"], seeds=size)
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = _look(path)
            if found["settings"] == settings and known.issuperset(found["following"]):
                return path
        return None

    return reached(study, look, until)


def trained_looks(
    study: Mapping[str, Any], settings: str, is_trained: Callable[[Run], bool]
) -> int:
    """How many looks at a frozen study, one after the other, the trained runs allow.

    `settings` are those that a look has now. Raises `UserError` if not even one.
    """
    sizes = study["looks"] or [len(study["seeds"])]
    for number, size in enumerate(sizes):
        found = foreseen(study, settings, size)
        trained = sum(map(is_trained, found.runs))
        if trained < len(found.runs) and not number:
            many = f"{'first ' if study['looks'] else ''}{len(found.runs)} runs"
            raise UserError(
                f"{trained or 'none'} of the {many} of {study['name']} are trained, "
                f"and looks={MADE} trains none"
            )
        if trained < len(found.runs) or found.lacks_look:
            return number
    return len(sizes)


def _look(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return found


def _runs(folders: Iterable[str]) -> tuple[Run, ...]:
    return tuple(Run.parse(folder) for folder in folders)
