"""What Snakemake's targets need: runs to plan, and pages that Snakemake takes for current."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unlabel.run import Run
from unlabel.workflow import resources
from unlabel.workflow.plan import Plan

ENDS = (".html", ".json", ".csv", ".md")  # of a study's page


@dataclass
class Needed:
    """The runs of targets, which are planned, and files to be made anew."""

    runs: list[Run] = field(default_factory=list)
    possible: list[Run] = field(default_factory=list)  # that studies need if claims stay open
    forced: set[str] = field(default_factory=set)


def needed(plan: Plan, targets: Iterable[str], budget: str) -> Needed:
    """What `targets` need; they may belong to no study. All studies run at `budget`, if any.

    The pages of a study are forced if a look that it needs is missing: Snakemake asks nothing of a
    page before the look, and makes the look only for a page that it makes. Raises `UserError` for a
    run or a study that is wrong.
    """
    targets, found = sorted(map(os.path.relpath, targets)), Needed()
    for target in targets:
        if target.startswith("data/runs/"):
            found.runs.append(Run.of(target))
            plan.add(found.runs[-1])
            if "/transfer/" in target:
                plan.dataset(Path(target).stem)
    for name in resources.studies(targets, lambda: _stated(plan, budget)):
        reached = plan.foreseen(name, budget)
        found.runs += reached.runs
        found.possible += reached.possible
        pages = {f"reports/study/{name}{end}" for end in ENDS} if reached.lacks_look else ()
        found.forced |= {page for page in pages if Path(page).exists()}
    known = set(found.runs)
    found.possible = [each for each in dict.fromkeys(found.possible) if each not in known]
    return found


def _stated(plan: Plan, budget: str) -> list[str]:
    """The studies of all statements; says which of them are left out, and why."""
    names, left_out = plan.stated(budget)
    for name, why in left_out.items():
        print(f"the study {name} is left out: {why}", file=sys.stderr)
    return names
