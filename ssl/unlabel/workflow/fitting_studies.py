"""What becomes of a study on the images that it is asked for: without what cannot run there."""

import json
import sys
from dataclasses import asdict, replace
from typing import Any

from unlabel.data.expected import Expected
from unlabel.errors import UserError
from unlabel.metric import Metric, find
from unlabel.params.settings import target
from unlabel.params.study import Study
from unlabel.run import Run
from unlabel.workflow.freeze import Entries, digest
from unlabel.workflow.planned_datasets import PlannedDatasets
from unlabel.workflow.planned_runs import PlannedRuns

RANK = "effective_rank"  # ranks encoders where there are no labels, as arXiv:2210.02885


class FittingStudies:
    """Studies without the methods that cannot work with their datasets' images."""

    def __init__(self, datasets: PlannedDatasets, runs: PlannedRuns, entries: Entries):
        self.params = runs.params
        self.datasets, self.runs, self.entries = datasets, runs, entries

    def for_dataset(self, study: Study, budget: str) -> Study:
        """The study on the dataset that the user asks for, if any.

        Methods that cannot work with images of this size are left out of a study without claims.
        Without labels, methods that learn from them are left out, and encoders are ranked by what
        can be measured.
        """
        if self.datasets.chosen.dataset:
            study = replace(study, datasets=[self.datasets.chosen.dataset])
        if encoder := self.datasets.chosen.encoder:
            study = replace(study, settings=[*study.settings, *encoder])
        if not study.claims:
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

    def _fitting(self, study: Study, budget: str) -> Study:
        """The study without the runs that cannot work with images of its datasets' sizes.

        Raises `UserError` if that is all of them.
        """
        key = f"fitting {budget}/{digest_of(study)}"
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
        key = f"unlabelled {budget}/{dataset}/{digest_of(study)}"
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


def digest_of(study: Study) -> str:
    """A name for all that a study says."""
    return digest(json.dumps(asdict(study)).encode())
