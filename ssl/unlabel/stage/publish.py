"""Copy the verdicts on studies to where git keeps them."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError

ENDS = (".json", ".csv", ".md")


def run(
    reports: Path = Path("reports"),
    out: Path = Path("reports/published"),
    studies: list[str] | None = None,
    suffix: str = "",
) -> None:
    """Copy the verdicts and tables of studies, and of all statements, for you to commit to git.

    Each verdict is a small file, for `dvc metrics`. The workflow writes nothing into that
    folder, so it never takes a committed file for one that it has made. `make publish` makes the
    studies first. Each Markdown file ends with the commits, the software and the machine that made
    the numbers.

    Args:
        reports: the folder with the workflow's reports
        out: the folder to copy to; what else is in it stays
        studies: copy only these studies, and not the statements
        suffix: add this to the studies' names, as _cifar10 after a run on another dataset

    Raises:
        UserError: if there is no study, or a file of one is missing or damaged
    """
    names = studies or sorted(path.stem for path in (reports / "study").glob("*.json"))
    if not names:
        raise UserError(f"{reports}/study has no verdict; make the studies first")
    made = {name: _made(reports / f"study/{name}.json") for name in names}
    copies: dict[str, str] = {}
    for name in names:
        source, target = reports / "study" / name, f"study/{name}{suffix}"
        copies |= _copies(source, target, [made[name]])
    if not studies and (reports / "statements.json").exists():
        judged = files.read_json(reports / "statements.json", "make the statements")
        if lost := sorted(judged.keys() - made.keys()):
            raise UserError(f"{reports}/statements.json judges {lost[0]}, which is not in study/")
        of = [made[name] for name in judged]
        copies |= _copies(reports / "statements", "statements", of, (".csv", ".md"))
        copies |= {f"verdict/{name}.json": files.as_json(each) for name, each in judged.items()}
    for path, text in copies.items():  # all were read before the first is written
        files.write_text(out / path, text)
    if "statements.md" in copies:  # a study that is judged no longer has no verdict
        for old in {*(out / "verdict").glob("*.json")} - {out / path for path in copies}:
            old.unlink()
    print(f"{len(copies)} files in {out}; now commit them to git", file=sys.stderr)


def _made(record: Path) -> Mapping[str, Any]:
    try:
        made: Mapping[str, Any] = files.read_json(record, "make the study")["made"]
    except KeyError as error:
        raise UserError(f"{record} does not say what made it; make the study again") from error
    return made


def _copies(
    source: Path, target: str, made: Iterable[Mapping[str, Any]], ends: Iterable[str] = ENDS
) -> dict[str, str]:
    """The text to write to each path below the published folder."""
    texts = {end: _text(source.with_name(source.name + end)) for end in ends}
    texts[".md"] = f"{texts['.md'].rstrip()}\n\n{origin(made)}\n"
    return {f"{target}{end}": text for end, text in texts.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read; make it again with snakemake {path}") from error


def origin(made: Iterable[Mapping[str, Any]]) -> str:
    """The line that says what made the numbers, from the `made` of studies' records."""
    made = list(made)

    def listed(key: str) -> str:
        return ", ".join(sorted({value for each in made for value in each[key]})) or "unknown"

    commit = listed("commit")
    changed = " (+: and changes that were not committed)" if "+" in commit else ""
    return (
        f"Made by the code of {commit}{changed} with torch {listed('torch')} "
        f"in {listed('precision')} on {listed('device')}."
    )
