"""Runs the benchmarks: `make bench`, or `python tests/bench NAME ...` for some of them.

Each file here that has `measure` is one. Each runs in a process of its own, and what it finds
replaces what reports/bench.json had of it.
"""

import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORD = ROOT / "reports/bench.json"
OTHERS = ROOT / ".venv/bench"  # libraries that only benchmarks need


def names() -> list[str]:
    """The benchmarks of this folder."""
    files = sorted(HERE.glob("[!_]*.py"))
    return [file.stem for file in files if "\ndef measure(" in file.read_text()]


def run(name: str) -> None:
    """Measure one, print what it finds and write it into the record."""
    from unlabel import files
    from unlabel.training import environment

    module, began = import_module(name), time.monotonic()
    print(f"\n{module.TITLE}", flush=True)
    rows = []
    for row in module.measure():
        rows.append(row.written())
        numbers = f"{row.ours:12,.5g} {row.theirs:12,.5g} {row.unit:9}{row.ratio:8.3g}"
        goal = f"  (target {row.target:.3g})" if row.target else ""
        print(f"{row.case:44} {row.against:34}{numbers}{goal}", flush=True)
    if not rows:  # there is nothing here to measure
        return
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record[name] = {
        "title": module.TITLE,
        "seconds": round(time.monotonic() - began),
        "made": environment.describe("cpu"),
        "rows": rows,
    }
    files.write_json(RECORD, record)


def main(arguments: list[str]) -> None:
    """Run the benchmarks of these names, or all."""
    sys.path.insert(0, str(ROOT / "ssl"))
    sys.path.append(str(OTHERS))
    if arguments[:1] == ["--one"]:
        run(arguments[1])
        return
    failed = [
        name
        for name in arguments or names()
        if subprocess.run([sys.executable, str(HERE), "--one", name], cwd=ROOT).returncode
    ]
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed")


if __name__ == "__main__":
    main(sys.argv[1:])
