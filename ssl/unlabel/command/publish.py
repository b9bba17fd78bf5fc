"""Copy the verdicts on studies to where git keeps them."""

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.analysis import tables
from unlabel.errors import UserError
from unlabel.params.study import stated
from unlabel.workflow.published_studies import Record, changed, marked, records

ENDS = (".json", ".csv", ".md")
STATEMENTS = "statements.md"


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
    have changed since. The copy of such a study says so in its first line. A study never replaces a
    published one that is better: current where it is not, or from more seeds. One at another budget
    or on another dataset than the study's is not current, unless it has a suffix.

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
    known, own = stated(params), not suffix
    made = _made(reports, studies)
    stale = {name: why for name, each in made.items() if (why := changed(each, params, own))}
    before = _published(out, suffix, made)
    kept = {name: each for name, each in before.items() if not changed(each, params, own)}
    new = _better(made, before, kept, stale)
    copies = _copies(new, stale, reports, suffix)
    if not suffix and not studies:
        _check_whole(reports / "statements.json", {*made, *kept})
    current = kept | {name: record for name, record in new.items() if name not in stale}
    together = {} if suffix else {name: current[name] for name in current if name in known}
    if together:
        copies |= _statements(together, params)
    elif not suffix and (out / STATEMENTS).exists():  # of studies that were current once
        copies[STATEMENTS] = marked((out / STATEMENTS).read_text(encoding="utf-8"), "all studies")
    _write(out, copies, verdicts=bool(together))
    if rest := sorted(f"{name}{suffix}" for name in kept.keys() - new.keys()):
        print(f"published before, and still current: {', '.join(rest)}", file=sys.stderr)
    print(f"{len(copies)} files in {out}; now commit them to git", file=sys.stderr)


def _made(reports: Path, studies: list[str] | None) -> dict[str, Record]:
    """The records of the studies to copy, all that are made by default, by their names."""
    names = studies or sorted(path.stem for path in (reports / "study").glob("*.json"))
    if not names:
        raise UserError(f"{reports}/study has no verdict; make the studies first")
    return {name: _record(reports / f"study/{name}.json") for name in names}


def _published(folder: Path, suffix: str, names: Iterable[str]) -> dict[str, Record]:
    """The record of each study that was published with a suffix, by the study's name.

    Raises `UserError` if another study has the file of one of `names`.
    """
    there = records(folder)
    for name in names:
        if (other := there.get(f"{name}{suffix}", {}).get("name", name)) != name:
            raise UserError(
                f"{folder}/study/{name}{suffix}.json is of the study {other}; choose another suffix"
            )
    found = {stem.removesuffix(suffix): (stem, each) for stem, each in there.items()}
    return {
        name: record
        for name, (stem, record) in found.items()
        if stem == f"{name}{suffix}" and record.get("name") == name
    }


def _better(
    new: Mapping[str, Record],
    published: Mapping[str, Record],
    current: Collection[str],
    stale: Mapping[str, str],
) -> dict[str, Record]:
    """The new studies, without those that are worse than the published ones; says which are.

    `current` are the published ones that are, and `stale` says why new ones are not.
    """
    found = dict(new)
    for name in sorted(published.keys() & new.keys()):
        if why := _worse(new[name], published[name], stale.get(name, ""), name in current):
            print(f"{name} is not copied: {why}", file=sys.stderr)
            del found[name]
    return found


def _worse(new: Record, published: Record, stale: str, current: bool) -> str:
    """Why a study should not replace the published one; empty if it should.

    `stale` says why the new one is not current, and `current` whether the published one is.
    """
    if stale and current:
        return f"{stale}; the published one is current"
    if current == (not stale):
        seeds, more = (
            max((c["seeds"] for c in each["claims"]), default=0) for each in (new, published)
        )
        return f"it has {seeds} seeds, and the published one {more}" if seeds < more else ""
    return ""


def _check_whole(page: Path, here: Collection[str]) -> None:
    """Raise `UserError` if a study on the page of all statements is not here."""
    judged = files.read_json(page, "make the statements") if page.exists() else {}
    if lost := sorted(judged.keys() - here):
        raise UserError(f"{page} judges {lost[0]}, which is not in study/")


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
        STATEMENTS: f"{statements_page.text(found, left_out).rstrip()}\n\n{made}\n",
    }
    verdicts = statements_page.record(found)
    return copies | {f"verdict/{name}.json": files.as_json(it) for name, it in verdicts.items()}


def _record(path: Path) -> Record:
    record = files.read_json(path, "make the study")
    if "made" not in record:
        raise UserError(f"{path} does not say what made it; make the study again")
    return record


def _copies(
    new: Mapping[str, Record], stale: Mapping[str, str], reports: Path, suffix: str
) -> dict[str, str]:
    """The text to write to each path below the published folder; a stale study says so."""
    copies: dict[str, str] = {}
    for name, record in new.items():
        why, target = stale.get(name, ""), f"study/{name}{suffix}"
        if why:
            print(f"{name} is not current: {why}; its copy says so", file=sys.stderr)
        texts = {end: _text(reports / "study" / f"{name}{end}") for end in ENDS}
        made = origin([record["made"]])
        texts[".md"] = marked(f"{texts['.md'].rstrip()}\n\n{made}\n", why)
        copies |= {f"{target}{end}": text for end, text in texts.items()}
    return copies


def _write(out: Path, copies: Mapping[str, str], verdicts: bool) -> None:
    """Write what was read; with `verdicts`, a study that is judged no longer has none."""
    for path, text in copies.items():
        files.write_text(out / path, text)
    if verdicts:
        for old in {*(out / "verdict").glob("*.json")} - {out / path for path in copies}:
            old.unlink()


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
