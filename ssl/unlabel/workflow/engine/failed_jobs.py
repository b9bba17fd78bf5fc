"""The runs that a Snakemake leaves unfinished because jobs have failed."""

import logging
from pathlib import Path
from typing import Any

from unlabel.run import Run

FAILED = ("job_error", "group_error")  # the events that tell of it
SENTENCE = "error: "  # begins the last line of a failed job's log


class Failures(logging.Handler):
    """Hears of failed jobs. Nothing has failed if the user stops Snakemake."""

    def __init__(self, workflow: Any):
        from snakemake.logging import logger  # after this Snakemake was found to be known

        super().__init__()
        self.workflow, self.any = workflow, False
        logs = {Path(log) for job in workflow.dag.needrun_jobs() for log in job.log}
        self.old = {log: state for log in logs if (state := _state(log))}
        for handler in [each for each in logger.handlers if isinstance(each, Failures)]:
            logger.removeHandler(handler)  # of an earlier call in the same Python
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a failed job."""
        self.any = self.any or getattr(record, "event", None) in FAILED

    def unfinished(self, rule: str) -> dict[Run, str]:
        """The runs with jobs that failed or that wait for those, each with the reason.

        None unless a job of this rule waits for them.
        """
        order = {rule.name: number for number, rule in enumerate(self.workflow.rules)}
        left = list(self.workflow.dag.needrun_jobs())
        if not self.any or rule not in {job.rule.name for job in left}:
            return {}
        found: dict[Run, str] = {}
        of_runs = filter(_about_a_run, left)
        for job in sorted(of_runs, key=lambda job: order[job.rule.name]):
            run, why = Run.of(str(job.output[0])), self._reason(job)
            found[run] = found.get(run) or why
        return {run: why or "it is not finished" for run, why in found.items()}

    def _reason(self, job: Any) -> str:
        """What a failed job said last; empty if it said nothing, or has not begun this time."""
        for log in map(Path, job.log):
            if _state(log) in (None, self.old.get(log)):
                continue
            lines = log.read_text(errors="replace").splitlines()
            if said := [line for line in lines if line.startswith(SENTENCE)]:
                return said[-1].removeprefix(SENTENCE)
        return ""


def _about_a_run(job: Any) -> bool:
    return bool(job.output) and str(job.output[0]).startswith("data/runs/")


def _state(log: Path) -> tuple[int, int, int] | None:
    """What differs between two logs of the same name; None if there is no such file."""
    if not log.is_file():
        return None
    about = log.stat()
    return about.st_ino, about.st_mtime_ns, about.st_size
