"""The studies of a plan: their runs, claims and metrics, frozen for their pages."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.params import compose
from unlabel.params.settings import load
from unlabel.params.study import Study, needs, read, stated
from unlabel.workflow.fitting_studies import FittingStudies, digest_of
from unlabel.workflow.freeze import Entries, Freezer, Stage, parameters
from unlabel.workflow.planned_datasets import PlannedDatasets
from unlabel.workflow.planned_runs import PlannedRuns


class PlannedStudies:
    """Studies by name, each for its own page, and the study of the report."""

    def __init__(
        self,
        datasets: PlannedDatasets,
        runs: PlannedRuns,
        entries: Entries,
        freezer: Freezer,
    ):
        self.params = runs.params
        self.datasets, self.runs, self.entries, self.freezer = datasets, runs, entries, freezer
        self.for_dataset = FittingStudies(datasets, runs, entries).for_dataset

    def report(self, study: Study, budget: str) -> dict[str, str]:
        """The parameters of the rule `report` for a study."""
        return parameters(self.entries[self._report(study, budget)], "report")

    def page(self, study: Study, budget: str, method: str) -> dict[str, str]:
        """The parameters of the rule `method` for a method of the report's study.

        Raises `UserError` if the study has no such method.
        """
        pages, name = self.entries[self._report(study, budget)], f"method {method}"
        if name not in pages:
            methods = [each.removeprefix("method ") for each in pages.keys() - {"report"}]
            known = did_you_mean(method, methods)
            if why := study.left_out.get(method):
                raise UserError(f"{method} is left out of {study.title!r}: {why}")
            raise UserError(f"the study {study.title!r} has no method {method!r}; {known}")
        return parameters(pages, name)

    def parameters(self, name: str, budget: str) -> dict[str, str]:
        """The parameters of the rule `study` for params/study/NAME.yaml.

        Raises `UserError` if anything is wrong with the study, its runs or its claims.
        """
        return parameters(self._study(name, budget), "study")

    def frozen_study(self, name: str, budget: str) -> dict[str, Any]:
        """The frozen study, with its runs and the stages that it needs, as plain data."""
        return load(Path(self._study(name, budget)["study"]["settings"]))

    def stated(self, budget: str) -> tuple[list[str], dict[str, str]]:
        """The studies that test a statement at a budget; why each other one cannot be run there.

        Raises `UserError` if none can.
        """
        names = stated(self.params)
        key = f"stated {budget}"
        if key not in self.entries:
            self.entries[key] = {"known": {"left_out": dict(self._left_out(names, budget))}}
        left_out = self.entries[key]["known"]["left_out"]
        if names and len(left_out) == len(names):
            name, why = next(iter(left_out.items()))
            raise UserError(f"no study with a statement can be run; {name}: {why}")
        return [name for name in names if name not in left_out], left_out

    def _left_out(self, names: Sequence[str], budget: str) -> Iterator[tuple[str, str]]:
        for name in names:
            try:
                self.parameters(name, budget)
            except UserError as error:
                yield name, str(error)

    def statements(self, budget: str) -> dict[str, str]:
        """The parameters of the rule `statements`: with the studies that are left out."""
        key = f"statements {budget}"
        if key not in self.entries:
            settings = {"budget": budget, "left_out": self.stated(budget)[1]}
            self.entries[key] = {"statements": self.freezer.freeze(settings)}
        return parameters(self.entries[key], "statements")

    def inputs(self, name: str, budget: str) -> list[str]:
        """The files below data/runs that a study reads."""
        study = self.frozen_study(name, budget)
        wanted = ["params.yaml", "run.json", "log.parquet"]
        if study["stages"]["probe"]:
            wanted += [f"metrics/{probe}.json" for probe in compose.probes(self.params)]
        if study["stages"]["finetune"]:
            wanted.append("metrics/finetune.json")
        wanted += [f"transfer/{dataset}.json" for dataset in study["transfer"]]
        folders = dict.fromkeys(run["folder"] for run in study["runs"])
        return [f"data/runs/{folder}/{file}" for folder in folders for file in wanted]

    def _report(self, study: Study, budget: str) -> str:
        """The key of the report's entry, which has the report and the page of each method."""
        key = f"report {budget}/{digest_of(study)}"
        if key not in self.entries:
            from unlabel.workflow import study_content  # loads torch; a kept plan does not

            content = study_content.content(study, budget, self.runs, self.datasets)
            contents = study_content.of_pages(content)
            self.entries[key] = {name: self.freezer.freeze(it) for name, it in contents.items()}
        return key

    def _study(self, name: str, budget: str) -> dict[str, Stage]:
        key = f"study {budget}/{name}"
        for dataset in self.entries.get(key, {}).get("study", {}).get("datasets", ()):
            self.datasets.labelled(dataset)  # if that has changed, the study must be planned again
        if key not in self.entries:
            from unlabel.workflow import study_content  # loads torch, see `_report`

            study = self.for_dataset(read(self.params, name), budget)
            claims, metrics = study.resolved_claims(self.params), study.metrics()
            datasets = [*study.datasets, *study.transfer]
            for dataset in datasets:
                self.datasets.parameters(dataset)
            content = study_content.content(study, budget, self.runs, self.datasets)
            study_content.check(study, budget, claims, self.runs, self.datasets)
            # Fine-tuning and transfer are jobs of their own, so only studies that need them wait.
            stages = needs(metrics, study.transfer) | {"transfer": bool(study.transfer)}
            content |= {"name": name, "claims": [asdict(each) for each in claims]}
            frozen = self.freezer.freeze(content | {"metrics": metrics, "stages": stages})
            self.entries[key] = {"study": frozen | {"datasets": datasets}}
        return self.entries[key]
