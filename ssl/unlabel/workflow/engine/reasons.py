"""Why Snakemake makes an output again, in words.

Snakemake's own reasons are of the rule's parameters. Ours are a file of frozen settings and a
fingerprint, whose names say nothing; the file does.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, printable
from unlabel.params.settings import differences, load
from unlabel.workflow.engine.corrections import running
from unlabel.workflow.engine.records import OTHER

INPUTS = "its inputs are made again"
SHOWN = 3  # differing settings
WIDTH = 40  # characters of a value


def reasons(dag: Any, job: Any) -> tuple[str, ...]:
    """Of a job that is to be done: one or more."""
    why, persistence = dag.reason(job), dag.workflow.persistence
    outputs = [str(output) for output in job.output]
    if why.forced:
        half_made = running(outputs) or persistence.corrections.unfinished.intersection(outputs)
        return ("interrupted",) if half_made else ("forced",)
    found = list(_of_files(why))
    if OTHER["code"] in map(persistence.code, job.output):
        found.append("not the file that was made")
    elif why.code_changed:
        found.append("its command changed")
    if why.params_changed:
        old, new = why.params_changed.only_old, why.params_changed.only_new
        found += _of_plans(_plan(old), _plan(new), outputs)
    if why.software_stack_changed:
        found.append("its software changed")
    return tuple(found) or ("always",)


def _of_files(why: Any) -> Iterator[str]:
    if why.missing_output:
        yield "missing"
    updated = Counter(map(_short, why.updated_input - why.updated_input_run))
    for name, count in sorted(updated.items()):
        yield f"input {name} changed" if count == 1 else f"{count} inputs {name} changed"
    if why.updated_input_run and not why.missing_output:
        yield INPUTS
    if why.input_changed:
        yield "it reads other files"


def _short(file: str) -> str:
    """A run's file without the run, which is said beside it."""
    return "/".join(file.split("/")[7:]) if file.startswith("data/runs/") else file


def _of_plans(old: dict[str, str], new: dict[str, str], outputs: list[str]) -> list[str]:
    """How the plans differ that an output was made by and is to be made by."""
    found, before = [], old.get("settings")
    if before != new.get("settings"):
        if before and not Path(before).exists():  # in a clone
            before = next((each for each in outputs if each.endswith("/params.yaml")), None)
        found.append(_of_settings(before, new.get("settings")))
    if old.get("code") != new.get("code"):
        found.append("its code changed")
    return found or ["parameters of its rule"]


def _plan(parameters: Iterable[str]) -> dict[str, str]:
    """The parameter with settings and code, if it differs; Snakemake records what Python shows."""
    for each in parameters:
        if each.startswith("{"):
            return dict(ast.literal_eval(each))
    return {}


@cache
def _of_settings(before: str | None, now: str | None) -> str:
    """The settings that differ in two frozen files; the older need not be there any more."""
    try:
        found = list(differences(load(Path(before or "")), load(Path(now or ""))))
    except UserError:
        return "its settings changed"
    shown = [_difference(*each) for each in found[:SHOWN]]
    shown += [f"and {len(found) - SHOWN} more settings"] if len(found) > SHOWN else []
    return ", ".join(shown) or "order of the settings"


def _difference(name: str, old: Any, new: Any) -> str:
    if name == "content":  # a fingerprint of the files that a dataset is prepared from
        return "the files it is made from changed"
    return f"{name}: {_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    text = "null" if value is None else printable(str(value))
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"
