"""Which packages in requirements.lock have known faults? pip-audit asks; this says what it found.

`python workflow/audit/scan.py [OPTION ...]` takes pip-audit's options. It ends with 1 if a fault is
known, and with 0 if none is. It also ends with 0, and says so, if no database could be reached.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
TOOL = ROOT / ".venv/audit"  # where the Makefile puts pip-audit
SECONDS = 600


class Verdict(NamedTuple):
    """The lines to print, and the status to exit with."""

    lines: list[str]
    status: int


def judge(dependencies: Sequence[dict[str, Any]]) -> Verdict:
    """What pip-audit's report says. Its status is 0, too, if it reached no database."""
    asked = [each for each in dependencies if "skip_reason" not in each]
    faults = [
        f"{each['name']} {each['version']}: {fault['id']}, {_mended(fault)}"
        for each in asked
        for fault in each["vulns"]
    ]
    if not asked:
        return skipped(f"the service knows none of the {len(dependencies)} packages")
    unknown = len(dependencies) - len(asked)
    said = f"{len(asked)} packages scanned for known faults: "
    said += "none" if not faults else f"{len(faults)} found"
    said += f"; of {unknown} the service knows nothing" if unknown else ""
    return Verdict([said, *faults], int(bool(faults)))


def skipped(why: str) -> Verdict:
    """Nothing is known, which is no fault of the project."""
    return Verdict([f"the scan for known faults of the packages was skipped: {why}"], 0)


def scan(options: Sequence[str], lock: Path = LOCK) -> Verdict:
    """Ask pip-audit of each package in the lock. It resolves and installs nothing."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off", *options]
    alone = os.environ | {"PYTHONPATH": str(TOOL)}
    try:
        done = subprocess.run(command, env=alone, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return skipped(f"no answer in {SECONDS} seconds")
    try:
        return judge(json.loads(done.stdout)["dependencies"])
    except ValueError:
        lines = done.stderr.strip().splitlines()
        return skipped(lines[-1] if lines else f"pip-audit ended with {done.returncode}")


def _mended(fault: dict[str, Any]) -> str:
    versions = fault.get("fix_versions", [])
    return f"fixed in {', '.join(versions)}" if versions else "not fixed yet"


if __name__ == "__main__":
    lines, status = scan(sys.argv[1:])
    print("\n".join(lines))
    sys.exit(status)
