"""The studies of a plan: their runs, claims and metrics, frozen for their pages."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unlabel.data.expected import Expected
from unlabel.errors import UserError, did_you_mean
from unlabel.metric import Metric, find
from unlabel.params import compose
from unlabel.params.settings import load, target
from unlabel.params.study import Study, needs, read, stated
from unlabel.run import Run
from unlabel.workflow.freeze import Entries, Freezer, Stage, digest, parameters
from unlabel.workflow.planned_datasets import PlannedDatasets
from unlabel.workflow.planned_runs import PlannedRuns

REPORT = ""  # in an entry whose other names are methods
RANK = "effective_rank"  # ranks encoders where there are no labels, as arXiv:2210.02885


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

    def for_dataset(self, study: Study, budget: str) -> Study:
        """The study on the dataset that the user asks for, if any.

        Of a study of all methods, those are left out that cannot work with images of this size.
        Without labels, methods that learn from them are left out, and encoders are ranked by what
        can be measured.
        """
        if self.datasets.chosen.dataset:
            study = replace(study, datasets=[self.datasets.chosen.dataset])
        if study.methods == "all":
            study = self._fitting(study, budget)
        unlabelled = [name for name in study.datasets if not self.datasets.labelled(name)]
        if not unlabelled:
            return study
        known = self._without_labels(study, unlabelled[0], budget)
        left_out = known["learners"]
        if left_out and self.datasets.main:
            print(f"{unlabelled[0]} has no labels: left out {', '.join(left_out)}", file=sys.stderr)
        study = study.without(left_out, self.params)
        why = f"it learns from labels, and {unlabelled[0]} has none"
        study = replace(study, left_out=study.left_out | dict.fromkeys(left_out, why))
        measured = find(study.metric, [Metric(name, name) for name in known["metrics"]])
        everywhere = len(unlabelled) == len(study.datasets)
        if everywhere and not measured and not study.claims:
            return replace(study, metric=RANK)
        return study

    def report(self, study: Study, budget: str) -> dict[str, str]:
        """The parameters of the rule `report` for a study."""
        stages = {"report": self.entries[self._report(study, budget)][REPORT]}
        return parameters(stages, "report")

    def page(self, study: Study, budget: str, method: str) -> dict[str, str]:
        """The parameters of the rule `method` for a method of the report's study.

        Raises `UserError` if the study has no such method.
        """
        pages = self.entries[self._report(study, budget)]
        if method not in pages:
            known = did_you_mean(method, pages.keys() - {REPORT})
            if why := study.left_out.get(method):
                raise UserError(f"{method} is left out of {study.title!r}: {why}")
            raise UserError(f"the study {study.title!r} has no method {method!r}; {known}")
        return parameters({"method": pages[method]}, "method")

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
        stage = self.freezer.freeze({"budget": budget, "left_out": self.stated(budget)[1]})
        return parameters({"statements": stage}, "statements")

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

    def _fitting(self, study: Study, budget: str) -> Study:
        """The study without the runs that cannot work with images of its datasets' sizes.

        Raises `UserError` if that is all of them.
        """
        key = f"fitting {budget}/{_digest(study)}"
        sizes = {name: self.datasets.expected(name).size for name in study.datasets}
        if key not in self.entries:
            variants = {(arm, replace(run, seed=0)) for arm, run in study.runs(self.params, budget)}
            refused = {}
            for arm, run in sorted(variants):
                self.runs.add(run)
                try:
                    self.runs.fit(run, Expected(True, sizes[run.dataset]))
                except UserError as error:
                    refused[f"{arm}\n{run.method}"] = str(error).partition(": ")[2]
            if len(refused) == len({(arm, run.method) for arm, run in variants}):
                raise UserError(next(iter(refused.values())))
            self.entries[key] = {"known": {"left_out": refused}}
        left_out = {}
        for pair, why in self.entries[key]["known"]["left_out"].items():
            arm, method = pair.split("\n")
            left_out[arm, method] = why
        if not left_out:
            return study
        fitting = study.without_runs(left_out, self.params)
        if self.datasets.main:
            for why in dict.fromkeys(left_out.values()):
                names = [name for name, said in fitting.left_out.items() if said == why]
                print(f"left out {', '.join(names)}: {why}", file=sys.stderr)
        return fitting

    def _without_labels(self, study: Study, dataset: str, budget: str) -> dict[str, Any]:
        """A study's methods that learn from labels, and the metrics that need none."""
        key = f"unlabelled {budget}/{dataset}/{_digest(study)}"
        if key not in self.entries:
            from unlabel.workflow.declared_metrics import declared  # loads torch, see `_report`

            learners, metrics = [], dict[str, None]()
            size = self.datasets.expected(dataset).size
            for method in study.all_methods(self.params):
                settings = self.runs.settings(Run(budget, dataset, method, "base", 0))
                if target(settings["method"], "method").labels:
                    learners.append(method)
                else:
                    found = declared(settings, labelled=False, size=size)
                    metrics |= dict.fromkeys(metric.name for metric in found)
            self.entries[key] = {"known": {"learners": learners, "metrics": list(metrics)}}
        return self.entries[key]["known"]

    def _report(self, study: Study, budget: str) -> str:
        """The key of the report's entry, which has the report and the page of each method."""
        key = f"report {budget}/{_digest(study)}"
        if key not in self.entries:
            from unlabel.workflow import study_content  # loads torch; a kept plan does not

            content = study_content.content(study, budget, self.runs, self.datasets)
            pages = {name: study_content.of_method(content, name) for name in content["methods"]}
            contents = {REPORT: content, **pages}
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


def _digest(study: Study) -> str:
    return digest(json.dumps(asdict(study)).encode())
