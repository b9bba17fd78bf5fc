"""What the jobs `look` and `study` read."""

from collections.abc import Callable
from typing import Any

from unlabel.workflow.plan import Plan


def of_looks(plan: Plan, checkpoints: Any, asked: str) -> Callable[[Any], list[str]]:
    """The files of a study's runs so far, and of its looks, as a function of a job's wildcards.

    `checkpoints` are Snakemake's. It is told which runs there are as each `look` is done. `asked`
    is the budget that all studies run at; empty for their own.
    """

    def files(wildcards: Any) -> list[str]:
        study, until = wildcards["study"], wildcards.get("seeds")
        budget = wildcards.get("budget") or plan.studies.budget(study, asked)

        def look(seeds: int) -> str:
            found = checkpoints.look.get(budget=budget, study=study, seeds=str(seeds))
            return str(found.output[0])

        return plan.inputs(study, budget, look, int(until) if until else None)

    return files
