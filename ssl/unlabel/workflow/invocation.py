"""One call of Snakemake: what it is asked for, and what happens before it chooses its jobs.

Snakemake runs jobs, or it only looks: `-n`, `--dag`, `--summary`, `--lint`, `--report` and so on.
A run first puts right what it finds: it ends the jobs that a killed Snakemake left, restores
records that came with a commit, and has altered outputs made again. A look does none of this. It is
shown the same corrections from memory, so that it plans the same jobs. It writes nothing but the
plan, in files that are named by their content, and the fingerprints of its code.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, of_machine
from unlabel.params import command_line, looks, study
from unlabel.params.placement import SLOTS
from unlabel.run import Run
from unlabel.workflow import (
    devices,
    forecast,
    forkserver,
    gpu_hours,
    leftovers,
    lifeline,
    machine,
    partial_report,
    prepared_again,
    remote_jobs,
    resources,
    shards,
    slurm,
)
from unlabel.workflow.asked_study import asked
from unlabel.workflow.engine import altered, pace, planned_jobs, provenance, termination
from unlabel.workflow.engine.corrections import Corrections
from unlabel.workflow.engine.failed_jobs import Failures
from unlabel.workflow.plan import ENVIRONMENT, Plan
from unlabel.workflow.summary import summary
from unlabel.workflow.targets import needed


class Invocation:
    """What the rules need to know, and what Snakemake's `workflow` does around its jobs."""

    def __init__(self, workflow: Any, config: Mapping[str, Any], params: Path):
        self.main = workflow.exec_mode.name == "DEFAULT"  # or is this process one of its jobs?
        self.params = params
        # typed, and so for all studies, whatever budget they name
        self.asked = str(workflow.config_settings.overwrite_config.get("budget") or "")
        self.cluster = workflow.resource_settings.nodes is not None
        if self.cluster or not self.main:
            workflow.register_resource("in_turn", 1)  # of each group, see the Snakefile
        machine.use_this_python()
        with one_sentence():
            self._meet(workflow)
            chosen = command_line.asked(config, params, _typed(workflow, config))
            self.plan = Plan.current(params, chosen=chosen, looks=looks.asked(config))
            gpus = resources.gpus(config["gpu"], self.cluster or not self.main, _limit(workflow))
            self.requests = resources.Requests(self.plan, gpus, self.cluster)
            built = study.read(params, command_line.named(config, "study")).first
            self.study, self.budget, left_out = asked(self.plan, built, config, self.asked)
            for why in left_out if self.main else ():
                print(f"left out: {why}", file=sys.stderr)
            self.runs = [run for _, run in self.study.runs(params, self.budget)]
            self.report = self.plan.report(self.study, self.budget)
        if self.main:  # profiles name it before the plan is complete
            os.environ[ENVIRONMENT] = ""

    def _meet(self, workflow: Any) -> None:
        """Take a place in Snakemake's internals. Raises `UserError` if they are others."""
        try:
            persistence = import_module("unlabel.workflow.engine.persistence")
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"this workflow does not know this version of Snakemake ({error}); "
                "install the one in requirements.lock"
            ) from error
        persistence.replace_protected()
        if self.main:
            os.environ.pop(ENVIRONMENT, None)  # of an earlier call in the same Python
            shards.forget()
            machine.say_if_full()
            persistence.check(workflow)
            persistence.install(self.prepare)
        else:
            persistence.install_marks()

    def prepare(self, workflow: Any) -> Corrections:
        """Plan what `workflow` is asked for; correct its records, or say how they are to be seen.

        Snakemake calls this when it knows its targets and its executor, and has chosen no job yet.
        """
        settings = workflow.dag_settings
        pace.without_timers(workflow.scheduling_settings)
        with one_sentence():
            targets = {*(settings.targets or ()), *(settings.until or ())}
            found = needed(self.plan, targets, self.asked)
            for line in self.plan.fits(found.runs or self.runs):
                _say(line)
            self.plan.keep()
            if workflow.dryrun or found.runs:  # nobody waits for hours unasked
                foretell = partial(
                    _foretell, self.plan, workflow.dryrun, found.possible, self._room(workflow)
                )
                planned_jobs.expect(workflow, foretell)
            if workflow.executor_plugin is None or workflow.dryrun:
                return self._look(found.forced)
            self._correct(workflow, found.runs or self.runs)
            return Corrections(forced=found.forced)

    def _room(self, workflow: Any) -> forecast.Room:
        cores = workflow.resource_settings.nodes or workflow.resource_settings.cores
        here = self.requests.gpus and not self.cluster and "gpu_slots" in workflow.global_resources
        slots = int(workflow.global_resources["gpu_slots"].value) if here else 0
        return forecast.Room(max(1, cores or 1), slots)

    def _look(self, forced: set[str]) -> Corrections:
        found = provenance.compare().corrections
        found.forced = forced
        altered.correct(found)
        leftovers.look(found)
        return found

    def _correct(self, workflow: Any, runs: Iterable[Run]) -> None:
        if workflow.executor_plugin.name == "slurm":
            slurm.prepare(workflow.executor_settings)
            if self.requests.gpus:
                shards.share(workflow, (self.plan.placement(run).runs_per_gpu for run in runs))
        self.alive = leftovers.take_over()
        comparison = provenance.compare()
        altered.correct(comparison.corrections)
        comparison.write()

    def start(self, workflow: Any) -> None:
        """Before the first job."""
        if not self.main:
            return
        termination.handle_in_thread()
        self.failures = Failures(workflow)
        with one_sentence():
            machine.check_folders(
                str(file) for job in workflow.dag.needrun_jobs() for file in (*job.output, *job.log)
            )
            self.plan.keep()  # with what the chosen jobs have added
            lifeline.offer(workflow.local_exec)
            if workflow.local_exec:
                forkserver.start(threads=1)  # of every rule
            else:
                if workflow.executor_plugin.name == "slurm":
                    slurm.check(workflow)
                remote_jobs.note(workflow)

    def fail(self, workflow: Any) -> None:
        """After a job has failed, or Ctrl-C."""
        if self.main and workflow.executor_plugin.name == "slurm":
            slurm.cancel()
        if self.main:
            unfinished = self.failures.unfinished("report")
            partial_report.write(self.report, self.runs, unfinished)


def _foretell(
    plan: Plan, look: bool, possible: list[Run], room: forecast.Room, jobs: list[planned_jobs.Job]
) -> None:
    """Say what the chosen jobs will do, and of those that are only looked at, why."""
    say = planned_jobs.say if look else _say
    with one_sentence():
        if {"-t", "--touch"} & {*sys.argv}:  # Snakemake does not tell that to a dry run
            say("--touch runs no job, it only gives files a new time")
        else:
            prepared_again.check(plan.looks, jobs)
            found = forecast.forecast(plan, jobs, room)
            if found.missing or possible or look:
                said = [found.sentence(room), gpu_hours.sentence(plan, jobs)]
                said += [forecast.possible(plan, possible, room), prepared_again.advice(jobs)]
                for each in filter(None, said):
                    say(each)
        if look:
            planned_jobs.say(summary(jobs), of_rules=True)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")  # at once: Snakemake's log writes in a thread of its own


def _limit(workflow: Any) -> int:
    """Let jobs hold no more slots of GPUs than this machine has, unless the user says; its GPUs."""
    here = len(devices.shared())
    is_main = workflow.exec_mode.name == "DEFAULT" and workflow.resource_settings.nodes is None
    if is_main and "gpu_slots" not in workflow.global_resources:
        workflow.register_resource("gpu_slots", SLOTS * here)
    return here


def params_folder(workflow: Any) -> Path:
    """`params` in the working folder, or else (with `--directory`) the one beside the Snakefile."""
    here = Path("params")
    return here if here.is_dir() else Path(workflow.basedir) / "params"


@contextmanager
def one_sentence() -> Iterator[None]:
    """End the process with a sentence for a user's mistake, a full disk or too little memory."""
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if not (said := of_machine(error)):
            raise
        sys.exit(f"error: {said}")


def _typed(workflow: Any, config: Mapping[str, Any]) -> list[str]:
    """The words after `--config`, for what they were before YAML took the rest after a #.

    Snakemake's Python interface has no such words, and makes some up of the values.
    """
    words = [str(word).partition("=") for word in workflow.config_settings.config_args or ()]
    return [f"{key}={text}" for key, _, text in words if text != repr(config.get(key))]
