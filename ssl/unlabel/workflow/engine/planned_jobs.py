"""The jobs that Snakemake has chosen, told before the first of them, also in a dry run.

Snakemake does not call `onstart` in a dry run. But as soon as it has chosen its jobs it logs their
number (`RUN_INFO`), and Python's logging hands that at once to each handler of Snakemake's logger.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unlabel.run import Run
from unlabel.workflow.engine.reasons import reasons

CHOSEN = "run_info"  # the event that says how many jobs there are


@dataclass(frozen=True)
class Job:
    """One that is needed for what was asked for."""

    rule: str
    about: str  # what tells it from others of its rule: a method, a dataset, a study
    run: Run | None  # that it makes files of
    reasons: tuple[str, ...] = ()  # why it is to be done; none if its outputs are current

    @property
    def trains(self) -> bool:
        """Is it a training that is to be done?"""
        return bool(self.reasons) and is_training(self.rule)


class _Moment(logging.Handler):
    """When the jobs have been chosen."""

    def __init__(self, workflow: Any, tell: Callable[[list[Job]], None]):
        super().__init__()
        self.workflow, self.tell, self.past = workflow, tell, False

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of the jobs, once."""
        if not self.past and getattr(record, "event", None) == CHOSEN:
            self.past = True
            self.tell(_jobs(self.workflow))


def is_training(rule: str) -> bool:
    """Does a rule train? Each method has one of its own."""
    return rule.startswith("pretrain_")


def expect(workflow: Any, tell: Callable[[list[Job]], None]) -> None:
    """Have `tell` called when Snakemake's `workflow` has chosen its jobs, if it has any to do."""
    from snakemake.logging import logger  # after this Snakemake was found to be known

    for handler in [each for each in logger.handlers if isinstance(each, _Moment)]:
        logger.removeHandler(handler)  # of an earlier call in the same Python, with nothing to do
    logger.addHandler(_Moment(workflow, tell))


def say(text: str, of_rules: bool = False) -> None:
    """Say something among Snakemake's own messages; `--quiet rules` leaves out what is of rules."""
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness

    logger.info(text, extra={"quietness": Quietness.RULES} if of_rules else {})


def _jobs(workflow: Any) -> list[Job]:
    """All jobs, in the order of their rules."""
    dag, order = workflow.dag, {rule.name: number for number, rule in enumerate(workflow.rules)}
    needed = set(dag.needrun_jobs())
    return [
        _job(job, reasons(dag, job) if job in needed else ())
        for job in sorted(dag.jobs, key=lambda job: (order[job.rule.name], sorted(job.output)))
        if job.output
    ]


def _job(job: Any, why: tuple[str, ...]) -> Job:
    output = str(job.output[0])
    run = Run.of(output) if output.startswith("data/runs/") else None
    known = job.wildcards_dict
    about = run.method if run else known.get("study") or ", ".join(known.values())
    return Job(job.rule.name, about, run, why)
