"""Judge a study look by look: only the arms of open claims get more seeds.

What was measured decides which runs come next, so the same runs always give the same judgement.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from unlabel.analysis import arms
from unlabel.analysis.frozen_study import FrozenStudy, PlannedRun
from unlabel.analysis.judgement import Judgement, judge
from unlabel.analysis.run_results import Result
from unlabel.run import Run


@dataclass(frozen=True)
class Turn:
    """The judgement at a look, and the runs that the next look needs besides; none after it."""

    judgement: Judgement
    following: tuple[PlannedRun, ...]


def judge_in_turn(study: FrozenStudy, runs: Path, until: int | None = None) -> Turn:
    """Judge a study at its looks until all claims are decided, or after `until` seeds at the last.

    `runs` is the folder of all runs. Raises `UserError` for a missing or damaged run.
    """
    planned, known = study.each_look, dict[Run, Result]()
    wanted = {each for each in study.runs if each.seed in planned[0].seeds}
    for at, look in enumerate(planned, 1):
        # in the order of the study, whatever the looks added
        part = replace(study, runs=tuple(each for each in study.runs if each in wanted))
        found = judge(study, arms.compare(part, runs, known), planned[:at])
        seeds = planned[at].seeds if at < len(planned) else ()
        needed = _needed(found)
        following = [
            each
            for each in study.runs
            if each.seed in seeds
            and each.seed not in look.seeds
            and (each.dataset, each.method, each.arm) in needed
        ]
        if not following or len(look.seeds) == until:
            break
        wanted.update(following)
    return Turn(found, tuple(following))


def _needed(found: Judgement) -> set[tuple[str, str, str]]:
    """The dataset, method and arm of each term of an open claim."""
    return {
        (each.dataset, term.method, term.arm or "")
        for each in found.open
        for term in each.claim.terms
    }
