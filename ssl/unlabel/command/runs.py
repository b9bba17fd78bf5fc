"""List the runs on disk, or remove those that no study needs."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from unlabel.errors import UserError
from unlabel.report.terminal import aligned
from unlabel.units import size
from unlabel.workflow import dvc, run_states
from unlabel.workflow.engine import records
from unlabel.workflow.engine.records import RECORDS
from unlabel.workflow.plan import Plan
from unlabel.workflow.run_states import Found

SHOWN = 5  # at most this many files are named in a refusal


def run(
    params: Path = Path("params"),
    runs: Path = Path("data/runs"),
    prune: bool = False,
    yes: bool = False,
    unversioned: bool = False,
) -> None:
    """List the runs, each with its variant (what differs from the recipe), state and size.

    With --prune, remove the orphaned runs, after asking. The states are:

    done: finished, with the settings, the code and the prepared images that it would have now.

    stale: finished or stopped with other settings, code or images, which are named.

    resumable: training stopped, and goes on from where it was.

    unfinished: neither finished nor resumable.

    orphaned: no study needs it, at any budget, on any dataset and with any encoder. That is so for
    runs with settings of your own, which you made by their path.

    running: a process works on it now. It is never removed.

    Args:
        params: the folder of all settings
        runs: the folder of all runs
        prune: remove the orphaned runs
        yes: remove them without asking
        unversioned: also remove what DVC could not bring back, because it is not in the last commit
            or not in DVC's cache

    Raises:
        UserError: if a study or a recipe is wrong, there is no study, or nobody can be asked
    """
    found = run_states.look(Plan.current(params), runs)
    print(_table(found) if found else f"no runs below {runs}")
    if prune:
        _prune([each for each in found if each.state == "orphaned"], runs, yes, unversioned)


def _table(found: Sequence[Found]) -> str:
    head = ["budget", "dataset", "method", "variant", "seed", "state", "why", "size"]
    rows = [[*each.run.folder.split("/"), each.state, each.why, size(each.size)] for each in found]
    columns = [list(column) for column in zip(head, *rows, strict=True)]
    if not any(each.why for each in found):
        del columns[-2]
    table = aligned(columns, left=len(columns) - 1)
    counts = Counter(each.state for each in found)
    total = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{table}\n\n{_count(found)}: {total}"


def _count(found: Sequence[Found]) -> str:
    plural = "s" * (len(found) != 1)
    return f"{len(found)} run{plural} of {size(sum(each.size for each in found))}"


def _prune(orphaned: Sequence[Found], runs: Path, yes: bool, unversioned: bool) -> None:
    if not unversioned and orphaned:
        lost = dvc.lost([each.folder for each in orphaned], runs)
        for folder, files in lost.items():
            if files:
                names = ", ".join(str(file.relative_to(folder)) for file in files[:SHOWN])
                print(f"kept: {folder}, because DVC has no version of {names}")
        orphaned = [each for each in orphaned if not lost[each.folder]]
        if any(lost.values()):
            print("make a version first (unlabel version, git commit), or add --unversioned")
    if not orphaned:
        print("nothing to remove")
        return
    print(f"to be removed, {_count(orphaned)}:")
    print("\n".join(f"  {each.folder}" for each in orphaned))
    if not yes and not _agrees():
        print("nothing was removed")
        return
    for each in orphaned:
        _remove(each.folder, runs)


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise UserError("cannot ask, as this is not a terminal; add --yes to remove these runs")
    return input("remove? [y/N] ").strip().lower() in ("y", "yes")


def _remove(folder: Path, runs: Path) -> None:
    """Remove a run's folder and Snakemake's records of it, unless a process trains it now."""
    with ExitStack() as opened:
        if not run_states.hold(folder, opened):
            print(f"kept: {folder}, because a process trains it now")
            return
        for file in [path for path in folder.rglob("*") if path.is_file()]:
            records.place(RECORDS, str(file)).unlink(missing_ok=True)
        shutil.rmtree(folder)
    with suppress(OSError):  # not empty: it has other runs
        for parent in folder.parents:
            if parent == runs:
                break
            parent.rmdir()
