"""What a version of the outputs would lack."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from unlabel.errors import UserError
from unlabel.workflow.engine.corrections import Record
from unlabel.workflow.engine.records import OTHER

SHOWN = 5  # at most this many are named


def refuse(known: Mapping[str, Record], sha256: Callable[[str], str]) -> None:
    """Raise `UserError` if an output is missing or altered; `known` has each output's record.

    A missing output counts if another is there that its job made too, or that was made from it.
    """
    there = {target for target in known if Path(target).is_file()}
    found = {**dict(_missing(known, there)), **dict(_altered(known, there, sha256))}
    if found:
        named = [f"{target} {why}" for target, why in sorted(found.items())[:SHOWN]]
        named += [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise UserError(
            f"this version would have holes ({len(found)}): {'; '.join(named)}; make these files "
            "again with snakemake, or remove what was made from them"
        )


def _missing(known: Mapping[str, Record], there: set[str]) -> Iterator[tuple[str, str]]:
    read_by = {each: target for target in there for each in known[target].get("input") or ()}
    beside = {log: target for target in there for log in known[target].get("log") or ()}
    for target in known.keys() - there:
        logs = [log for log in known[target].get("log") or () if log in beside]  # of the same job
        if target in read_by:
            yield target, f"is missing, and {read_by[target]} was made from it"
        elif logs:
            yield target, f"is missing, and {beside[logs[0]]} was made with it"


def _altered(
    known: Mapping[str, Record], there: set[str], sha256: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    for target in there:
        record = known[target]
        recorded = record.get("sha256")
        if record.get("code") == OTHER["code"] or (recorded and recorded != sha256(target)):
            yield target, "is not the file that was made"
