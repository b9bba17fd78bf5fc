"""What a person sees of a run: one live view in a terminal, one line a finished job in a file.

Snakemake finds this plugin by its name (`--logger unlabel`, which the default profile sets). It
loads it before the Snakefile, so it imports nothing from the package `unlabel`, which may be
another copy's. What is not shown is in Snakemake's own log, in `.snakemake/log/`.
"""

import time
from collections.abc import Callable, Mapping
from logging import WARNING, LogRecord
from threading import RLock
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_unlabel.jobs import Job, Jobs

SHOWN = 10  # running jobs
# What Snakemake says besides that a person needs to know; warnings are shown anyway.
SAID = ("Nothing to be done", "Terminating processes", "Will exit after finishing")
NOISE = ("Assuming unrestricted shared", "Config file ", "DAG of jobs will be updated")
# Of a dry run the workflow gives a summary instead; its reasons are in words.
OF_JOBS = (LogEvent.RUN_INFO, LogEvent.JOB_INFO, LogEvent.GROUP_INFO)
REASONS = ("Reasons:", "Some jobs were triggered by", "Rules with provenance triggered")
# What it says of a failed job, whose own sentence comes last.
OF_FAILURES = ("Exiting because a job", "Shutting down, this might", "At least one job did not")


class LogHandler(LogHandlerBase):
    """Snakemake's messages, shown as a person wants them."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False  # Snakemake's own, for --quiet
    has_formatter = False  # Snakemake's own, for all but a run
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin as a look; Snakemake says when it starts a run."""
        self.console = Console(stderr=not self.common_settings.stdout, highlight=False)
        self.jobs, self.began = Jobs(), time.monotonic()
        self.live: Live | None = None
        self.runs = False
        self.held: list[str] = []  # Snakemake's own words on failures
        self.guard = RLock()
        self.events: dict[Any, Callable[[Any], None]] = {
            LogEvent.RUN_INFO: self._plan,
            LogEvent.PROGRESS: lambda record: self.jobs.grow(record.total),
            LogEvent.JOB_INFO: self._start,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.GROUP_ERROR: self._fail_group,
        }

    def emit(self, record: LogRecord) -> None:
        """Show a message, or what it changes."""
        try:
            with self.guard:
                event, text = getattr(record, "event", None), record.getMessage()
                if event == LogEvent.WORKFLOW_STARTED:
                    self.runs = not self.common_settings.dryrun
                if not self.runs or self.common_settings.verbose:
                    self._look(event, text, self.format(record))
                elif event in self.events:
                    self.events[event](record)
                elif event == LogEvent.ERROR or text.startswith(OF_FAILURES):
                    self.held.append(text)
                elif record.levelno >= WARNING or text.startswith(SAID):
                    self._say(text)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End the view; the errors of failed jobs are the last words."""
        with self.guard:
            if self.live:
                self.live.stop()
                self.live = None
            if not self.runs:
                return
            self.runs = False  # Snakemake closes more than once
            for job in self.jobs.failed.values():
                logs = ", ".join(map(str, job.logs))
                self._say(f"{job.name} failed; its log is {logs}", *job.error())
            if not self.jobs.failed:
                self._say(*self.held)
            if self.jobs.done:
                took = _duration(time.monotonic() - self.began)
                if not self.jobs.failed and not self.held:
                    page = f" · see {self.jobs.page}" if self.jobs.page else ""
                    self._say(f"{self.jobs.done} of {self.jobs.total} done in {took}{page}")

    def _look(self, event: Any, text: str, formatted: str) -> None:
        settings = self.common_settings
        long = settings.printshellcmds or settings.verbose or settings.quiet
        if settings.dryrun and not long and (event in OF_JOBS or text.startswith(REASONS)):
            return
        if event != LogEvent.WORKFLOW_STARTED and not text.startswith(NOISE):
            self._say(formatted)

    def _plan(self, record: Any) -> None:
        self.jobs.plan(record.stats)
        kinds = ", ".join(f"{count} {each}" for each, count in self.jobs.planned.items())
        if self.jobs.total:
            self._say(f"to do: {kinds}")
        if self.console.is_terminal and self.jobs.total:
            self.live = Live(
                console=self.console,
                get_renderable=self._view,
                refresh_per_second=2,
                transient=True,
            )
            self.live.start()

    def _start(self, record: Any) -> None:
        self.jobs.start(record.jobid, _job(vars(record)))

    def _finish(self, record: Any) -> None:
        ended = self.jobs.finish(record.job_id, time.monotonic())
        if not ended:
            return
        job, seconds = ended
        if not self.live:
            progress = job.progress()
            speed = f" · {progress[1]}" if progress else ""
            done = f"{self.jobs.done} of {self.jobs.total}"
            self._say(f"{done} · {job.name} · {_duration(seconds)}{speed}")
        self._say(*job.notes())

    def _fail(self, record: Any) -> None:
        job = _job(vars(record))
        self.jobs.fail(record.jobid, job)
        self._say(f"failed: {job.name}")

    def _fail_group(self, record: Any) -> None:
        for about in record.job_error_info:
            job = _job({**about, "wildcards": {}})
            if any(line.startswith("error: ") for line in job.error()):
                self.jobs.fail(about["jobid"], job)
                self._say(f"failed: {job.name}")

    def _view(self) -> Group:
        """The running jobs, and how far all are."""
        with self.guard:
            now = time.monotonic()
            table = Table.grid(padding=(0, 2))
            shown = [job for job in self.jobs.running.values() if job.rule != "all"]
            for job in shown[:SHOWN]:
                progress = job.progress()
                how = f"{progress[0]} % · {progress[1]} · {progress[2]} s left" if progress else ""
                table.add_row(
                    Text(job.rule, "bold"), Text(job.about), Text(how or _duration(now - job.began))
                )
            if len(shown) > SHOWN:
                table.add_row(Text(f"and {len(shown) - SHOWN} more"))
            left = self.jobs.left(now)
            time_left = f" · about {_duration(left)} left" if left is not None else ""
            whole = Table.grid(padding=(0, 1))
            whole.add_row(
                ProgressBar(self.jobs.total, self.jobs.done, width=30),
                Text(
                    f"{self.jobs.done} of {self.jobs.total} done · "
                    f"{_duration(now - self.began)}{time_left}"
                ),
            )
            return Group(table, whole)

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(Text(line), soft_wrap=True)


def _job(record: Mapping[str, Any]) -> Job:
    wildcards = record.get("wildcards") or {}
    return Job.of(record["rule_name"], record["output"], wildcards, record["log"], time.monotonic())


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"
