"""From `params/` to the runs of the workflow, and each stage's settings.

The settings of each stage are frozen in a file that is named by its content. A rule has that
file's name as its parameter: so a changed value reruns what depends on it, a changed comment
reruns nothing, and a running workflow keeps the settings it started with.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.data.expected import remarks
from unlabel.files import FROZEN
from unlabel.params import planned_code
from unlabel.params.command_line import ChosenDataset
from unlabel.params.looks import MADE, Asked
from unlabel.params.study import Study
from unlabel.run import Run
from unlabel.training import loggers
from unlabel.workflow import planned_files
from unlabel.workflow.freeze import (
    Entries,
    Freezer,
    add_code,
    all_whole,
    digest,
    parameters,
    without_code,
)
from unlabel.workflow.kept_plan import KeptPlan
from unlabel.workflow.planned_datasets import PlannedDatasets
from unlabel.workflow.planned_probes import PlannedProbes
from unlabel.workflow.planned_runs import PlannedRuns, followed, say
from unlabel.workflow.planned_statements import PlannedStatements, without_left_out
from unlabel.workflow.planned_studies import PlannedStudies

ENVIRONMENT = "UNLABEL_PLAN"  # names the frozen plan to the jobs of a running workflow


class Plan:
    """What each stage of each run depends on: its frozen settings, and its code's fingerprint."""

    def __init__(
        self,
        params: Path,
        frozen: Path = FROZEN,
        chosen: ChosenDataset | None = None,
        entries: Entries | None = None,
        kept: KeptPlan | None = None,
        looks: Asked = None,
    ):
        self.params, self.frozen, self.chosen = params, frozen, chosen or ChosenDataset()
        self.main, self.kept, self.looks = is_main(), kept, looks
        self.entries: Entries = {} if entries is None else entries
        freezer = self._freezer = Freezer(frozen, self.main)
        self.datasets = PlannedDatasets(params, self.chosen, self.entries, freezer, self.main)
        self.runs = PlannedRuns(params, self.entries, freezer, self.datasets.origin)
        self.studies = PlannedStudies(self.datasets, self.runs, self.entries, freezer, looks)
        # What rules ask of the parts
        self.settings, self.trained_by = self.runs.settings, self.runs.trained_by
        self.trains, self.placement = self.runs.trains, self.runs.placement
        self.of, self.dataset = self.runs.parameters, self.datasets.parameters
        self.masks = self.datasets.masks
        self.probes = PlannedProbes(self.datasets, self.runs, self.entries)
        self.study, self.inputs = self.studies.parameters, self.studies.inputs
        self.frozen_study, self.foreseen = self.studies.frozen_study, self.studies.foreseen
        statements = PlannedStatements(self.studies, self.entries, freezer)
        self.stated, self.statements = statements.stated, statements.parameters
        self.report, self.page = self.studies.report, self.studies.page
        self.made = self.studies.made

    @classmethod
    def current(
        cls,
        params: Path = Path("params"),
        frozen: Path = FROZEN,
        chosen: ChosenDataset | None = None,
        looks: Asked = None,
    ) -> "Plan":
        """The plan of the workflow that this process is a job of, or else a kept or new one."""
        chosen = chosen or ChosenDataset()
        if not is_main():
            text = Path(os.environ[ENVIRONMENT]).read_bytes()
            return cls(params, frozen, chosen, json.loads(text), looks=looks)
        planned_code.recall(frozen)
        kept = KeptPlan.of(params, frozen, chosen)
        text = kept.read()
        entries = json.loads(text) if _frozen_plan(frozen, text).exists() else {}
        same = all_whole(entries) and planned_files.unchanged(entries, frozen) and looks != MADE
        found = without_left_out(without_code(entries)) if same else {}
        return cls(params, frozen, chosen, found, kept, looks)

    def keep(self) -> None:
        """Freeze the plan for this workflow's jobs, and until a recipe or its code changes."""
        if self.main:
            add_code(self.entries)
            planned_code.keep(self.frozen)
            text = json.dumps(self.entries, sort_keys=True)
            path = _frozen_plan(self.frozen, text.encode()).resolve()
            files.write_text(path, text)
            if self.kept:
                self.kept.write(text)
            os.environ[ENVIRONMENT] = str(path)

    def add(self, run: Run) -> None:
        """Plan a run, and its dataset.

        Raises `UserError` if there is no such run, or it cannot work with the dataset's images.
        """
        self.runs.add(run)
        self.datasets.parameters(run.dataset)
        self.runs.fit(run, self.datasets.expected(run.dataset))

    def fits(self, runs: Iterable[Run]) -> Iterator[str]:
        """What few images mean for planned runs: what is left out, and what will be changed.

        Raises `UserError` if one cannot work with its images, or asks for a logger that is not
        installed.
        """
        runs = list(runs)
        for name in sorted({name for run in runs for name in self.runs.loggers(run)}):
            loggers.check(name)
        found = {run: self.runs.fit(run, self.datasets.expected(run.dataset)) for run in runs}
        for name in dict.fromkeys(run.dataset for run in found):
            for remark in remarks(self.datasets.expected(name).images or {}):
                yield f"{name}: {remark}"
        yield from say(found)

    def add_training(self, run: Run) -> None:
        """Plan a run whose dataset is prepared. Raises `UserError` if there is no such run."""
        self.runs.add(run)

    def parameters(self, stage: str, **known: str) -> Callable[[Any], dict[str, str]]:
        """The parameters of a run's stage, as a function of the wildcards that are not `known`.

        Snakemake reruns for a changed parameter only if it is a function of wildcards alone.
        """
        return lambda wildcards: self.runs.parameters(run_of(wildcards, known), stage)

    def measure(self, wildcards: Any) -> dict[str, str]:
        """The parameters of the rule `measure`."""
        return self.probes.parameters(run_of(wildcards, {}), wildcards["own"])

    def measured(self, kind: str) -> Callable[[Any], list[str]]:
        """What a probe on request reads beside its run, as a function of the wildcards."""
        return lambda wildcards: self.probes.inputs(run_of(wildcards, {}), wildcards["own"])[kind]

    def state(self, **known: str) -> Callable[[Any], str]:
        """The folder of a run's training state, as a function of the wildcards not `known`.

        Each settings have their own folder, so an interrupted run finds its state again.
        """

        def folder(wildcards: Any) -> str:
            run = run_of(wildcards, known)
            return f"data/runs/{run.folder}/state.{self.runs.frozen(run).stem}"

        return folder

    def monitored(self, **known: str) -> Callable[[Any], list[str]]:
        """The images on which a training's kNN accuracy is measured; none where it is not."""

        def images(wildcards: Any) -> list[str]:
            run = run_of(wildcards, known)
            on = self.runs.monitored(run) and self.datasets.labelled(run.dataset)
            return [f"data/prepared/{run.dataset}/validation.arrow"] if on else []

        return images

    def seen(self, **known: str) -> Callable[[Any, Any], list[str]]:
        """The flags of a training for those who follow it, by its wildcards and its input."""
        loggers = self.runs.loggers
        return lambda wildcards, input: followed(
            loggers(run_of(wildcards, known)), input.validation
        )

    def weights(self, **known: str) -> Callable[[Any], list[str]]:
        """The encoders that a run needs of others, as a function of the wildcards not `known`."""
        return lambda wildcards: self.runs.weights(run_of(wildcards, known))

    def for_dataset(self, study: Study, budget: str) -> Study:
        """The study on the dataset that the user asks for, as far as that has labels."""
        return self.studies.for_dataset(study, budget)

    def bench(self) -> dict[str, str]:
        """The parameters of the rule `bench`."""
        if "bench" not in self.entries:
            self.entries["bench"] = {"bench": self._freezer.freeze({})}
        return parameters(self.entries["bench"], "bench")


def is_main() -> bool:
    """Is this the process that plans, rather than a job of a running workflow?"""
    return ENVIRONMENT not in os.environ


def run_of(wildcards: Any, known: Mapping[str, str]) -> Run:
    """The run that a job's wildcards name, together with what is `known`."""
    names = {field.name: known.get(field.name) or wildcards[field.name] for field in fields(Run)}
    return Run.parse("/".join(names.values()))


def _frozen_plan(frozen: Path, text: bytes) -> Path:
    return frozen / f"plan-{digest(text)}.json"
