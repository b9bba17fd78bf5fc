"""Injects faults into the real workflow: `make faults`, or `python tests/faults NAME ...` for some.

Each file here that has `inject` is a kind of fault. Each runs in a process of its own, and what it
finds replaces what reports/faults.json had of it; reports/faults.md is written from that.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORD = ROOT / "reports/faults.json"
PAGE = ROOT / "reports/faults.md"
HEAD = """# Faults

The real workflow on `digits` at budget `tiny`, disturbed on purpose and then started again. *Same
bits*: every result has the bytes of an undisturbed run. *Sentence*: it stopped with one sentence
and no traceback, lost nothing, and came to the same bits once what the sentence asks for was done.
Made by `make faults` (`tests/faults/`); some are tests of CI, too (`tests/faults/test_faults.py`).
"""


def names() -> list[str]:
    """The kinds of faults of this folder."""
    files = sorted(HERE.glob("[!_]*.py"))
    return [file.stem for file in files if "\ndef inject(" in file.read_text()]


def run(name: str) -> bool:
    """Inject one kind, print what comes of it and write it down; did all end well?"""
    from unlabel import files
    from unlabel.training import environment as machine

    module, began, rows = import_module(name), time.monotonic(), []
    print(f"\n{module.TITLE}", flush=True)
    for row in module.inject():
        rows.append(row.written())
        well = "" if row.well else "NOT "
        print(f"{well}well: {row.fault} ({row.times}): {row.outcome}", flush=True)
        record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        record[name] = {
            "title": module.TITLE,
            "seconds": round(time.monotonic() - began),
            "made": machine.describe("cpu"),
            "rows": rows,
        }
        files.write_json(RECORD, record)
        files.write_text(PAGE, page(record))
    return all(row["well"] for row in rows)


def page(record: dict) -> str:
    """What was found, as Markdown."""
    parts = [HEAD]
    for each in record.values():
        parts.append(f"\n## {each['title']}\n\n| fault | times | outcome |\n|---|---|---|\n")
        for row in each["rows"]:
            well = "" if row["well"] else "**fault:** "
            parts.append(f"| {row['fault']} | {row['times']:,} | {well}{row['outcome']} |\n")
    return "".join(parts)


def main(arguments: list[str]) -> None:
    """Inject the faults of these names, or all."""
    sys.path[:0] = [str(ROOT / "ssl"), str(ROOT / "tests")]
    if arguments[:1] == ["--one"]:
        sys.exit(not run(arguments[1]))
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        environment = {"UNLABEL_FAULTS": folder} | os.environ
        failed = [
            name
            for name in arguments or names()
            if subprocess.run(
                [sys.executable, str(HERE), "--one", name], env=environment
            ).returncode
        ]
    if failed:
        sys.exit(f"error: {', '.join(failed)} did not end well")


if __name__ == "__main__":
    main(sys.argv[1:])
