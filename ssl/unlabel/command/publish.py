"""Copy the verdicts on studies to where git keeps them."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.analysis import tables
from unlabel.errors import UserError
from unlabel.params.study import stated
from unlabel.workflow.published_studies import Record, changed, records

ENDS = (".json", ".csv", ".md")


def run(
    reports: Path = Path("reports"),
    out: Path = Path("reports/published"),
    studies: list[str] | None = None,
    suffix: str = "",
    params: Path = Path("params"),
) -> None:
    """Copy the verdicts and tables of studies, and of all statements, for you to commit to git.

    Studies may be run on several machines, and published one after the other. The statements are
    those of the studies copied now and of those published before, unless their code or settings
    have changed since. A study never replaces a published one that is better: current where it is
    not, or from more seeds.

    Each verdict is a small file, for `dvc metrics`. The workflow writes nothing into that
    folder, so it never takes a committed file for one that it has made. `make publish` makes the
    studies first. Each Markdown file ends with the commits, the software and the machine that made
    the numbers.

    Args:
        reports: the folder with the workflow's reports
        out: the folder to copy to
        studies: copy only these studies
        suffix: add this to the studies' names, as _cifar10 after a run on another dataset; such a
            study does not count for the statements
        params: the folder of all settings

    Raises:
        UserError: if there is no study, or a file of one is missing or damaged
    """
    names = studies or sorted(path.stem for path in (reports / "study").glob("*.json"))
    if not names:
        raise UserError(f"{reports}/study has no verdict; make the studies first")
    new = {name: _record(reports / f"study/{name}.json") for name in names}
    kept = {} if suffix else _current(out, params)
    for name in sorted(kept.keys() & new.keys()):
        if why := _worse(new[name], kept[name], params):
            print(f"{name} is not copied: {why}", file=sys.stderr)
            del new[name]
    copies: dict[str, str] = {}
    for name, record in new.items():
        target = f"study/{name}{suffix}"
        copies |= _copies(reports / "study" / name, target, origin([record["made"]]))
    if together := {} if suffix else _judged(reports, kept, new, params, whole=not studies):
        copies |= _statements(together, params)
    for path, text in copies.items():  # all were read before the first is written
        files.write_text(out / path, text)
    if together:  # a study that is judged no longer has no verdict
        for old in {*(out / "verdict").glob("*.json")} - {out / path for path in copies}:
            old.unlink()
    if before := sorted(kept.keys() - new.keys()):
        print(f"published before, and still current: {', '.join(before)}", file=sys.stderr)
    print(f"{len(copies)} files in {out}; now commit them to git", file=sys.stderr)


def _worse(new: Record, kept: Record, params: Path) -> str:
    """Why a study should not replace the published one, which is current; empty if it should."""
    if why := changed(new, params):
        return f"{why}; the published one is current"
    seeds, more = (max((c["seeds"] for c in each["claims"]), default=0) for each in (new, kept))
    return f"it has {seeds} seeds, and the published one {more}" if seeds < more else ""


def _current(published: Path, params: Path) -> dict[str, Record]:
    """The published studies that today's code and settings would make again."""
    return {
        name: record
        for name, record in records(published).items()
        if record.get("name") == name and not changed(record, params)
    }


def _judged(
    reports: Path, kept: Mapping[str, Record], new: Mapping[str, Record], params: Path, whole: bool
) -> dict[str, Record]:
    """The studies whose statements count together.

    Of the new ones these are those on the page of all statements, and those that are current. If
    `whole`, all on that page must be there.
    """
    known, page = stated(params), reports / "statements.json"
    together = files.read_json(page, "make the statements") if page.exists() else {}
    if whole and (lost := sorted(together.keys() - new.keys() - kept.keys())):
        raise UserError(f"{page} judges {lost[0]}, which is not in study/")
    found = {name: record for name, record in kept.items() if name in known}
    for name, record in new.items():
        if name in together or (name in known and not changed(record, params)):
            found[name] = record
    return found


def _statements(judged: Mapping[str, Record], params: Path) -> dict[str, str]:
    """The text to write to each path: the statements of these studies, judged together."""
    from unlabel.report import statements_page  # loads Altair and Jinja2

    found = statements_page.judge(list(judged.values()))
    left_out = dict.fromkeys(
        (name for name in stated(params) if name not in judged),
        "not run with today's code and settings",
    )
    made = origin(record["made"] for record in judged.values())
    copies = {
        "statements.csv": tables.comma_separated(statements_page.table(found)),
        "statements.md": f"{statements_page.text(found, left_out).rstrip()}\n\n{made}\n",
    }
    verdicts = statements_page.record(found)
    return copies | {f"verdict/{name}.json": files.as_json(it) for name, it in verdicts.items()}


def _record(path: Path) -> Record:
    record = files.read_json(path, "make the study")
    if "made" not in record:
        raise UserError(f"{path} does not say what made it; make the study again")
    return record


def _copies(source: Path, target: str, made: str) -> dict[str, str]:
    """The text to write to each path below the published folder."""
    texts = {end: _text(source.with_name(source.name + end)) for end in ENDS}
    texts[".md"] = f"{texts['.md'].rstrip()}\n\n{made}\n"
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
