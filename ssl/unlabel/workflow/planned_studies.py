"""The studies of a plan: their runs, claims and metrics, frozen for their pages."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.params import compose, defaults, written
from unlabel.params.looks import Asked, seeds_until
from unlabel.params.measured import needs
from unlabel.params.settings import load
from unlabel.params.study import Study, read
from unlabel.run import Run
from unlabel.workflow import trained_run
from unlabel.workflow.fitting_studies import FittingStudies, digest_of
from unlabel.workflow.freeze import Entries, Freezer, Stage, codes, digest, parameters
from unlabel.workflow.planned_datasets import PlannedDatasets
from unlabel.workflow.planned_looks import Look, Reached, files, foreseen, trained_looks
from unlabel.workflow.planned_probes import PlannedProbes
from unlabel.workflow.planned_runs import PlannedRuns

WORDS = ("title", "question", "statement", "source", "expected", "remark", "axis")


class PlannedStudies:
    """Studies by name, each for its own page, and the study of the report."""

    def __init__(
        self,
        datasets: PlannedDatasets,
        runs: PlannedRuns,
        entries: Entries,
        freezer: Freezer,
        looks: Asked,
    ):
        self.params = runs.params
        self.datasets, self.runs, self.entries, self.freezer = datasets, runs, entries, freezer
        self.looks = looks
        self.probes = PlannedProbes(datasets, runs, entries)
        self.for_dataset = FittingStudies(datasets, runs, entries).for_dataset
        self._budgets: dict[str, str] = {}  # of each study

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

    def budget(self, name: str, asked: str) -> str:
        """The budget of a study: the one that is `asked` for, its own, or the workflow's."""
        if not asked and name not in self._budgets:
            path = self.params / f"study/{compose.choose(self.params, 'study', name)}.yaml"
            own = written.load(path).get("budget")
            self._budgets[name] = str(own or defaults.of_workflow(self.params)["budget"])
        return asked or self._budgets[name]

    def parameters(self, name: str, budget: str, stage: str = "study") -> dict[str, str]:
        """The parameters of the rule `study`, or `look`, for params/study/NAME.yaml.

        `budget` may be empty for the study's own. Raises `UserError` if anything is wrong with the
        study, its runs or its claims.
        """
        found = parameters(self._study(name, budget), stage)
        if stage == "study":
            found["made"] = json.dumps(self.made(name, budget), sort_keys=True)
        return found

    def made(self, name: str, budget: str) -> dict[str, str]:
        """The fingerprint of the settings and the code of each stage that makes a study's result.

        It is the same for each seed, and does not change with what is only shown.
        """
        known = self._study(name, budget)["study"]
        return {"prepare": self._prepared(known["datasets"])} | codes(known)

    def _prepared(self, datasets: Sequence[str]) -> str:
        """The fingerprint of the recipes and the code that make these datasets' images."""
        # not kept with the study: one's own images are looked at again by each new process
        found = [self.datasets.parameters(name) for name in sorted(datasets)]
        parts = [f"{Path(each['settings']).stem} {each['code']}" for each in found]
        return digest("\n".join(parts).encode())

    def frozen_study(self, name: str, budget: str) -> dict[str, Any]:
        """The frozen study, with its runs and the stages that it needs, as plain data."""
        return load(Path(self._study(name, budget)["study"]["settings"]))

    def foreseen(self, name: str, budget: str) -> Reached:
        """The runs that a study needs, and those that it may need; all are planned."""
        return foreseen(self.frozen_study(name, budget), _of_look(self._study(name, budget)))

    def inputs(
        self, name: str, budget: str, look: Look = lambda _: None, until: int | None = None
    ) -> list[str]:
        """The files that a study reads, at its last look or the one after `until` seeds.

        `look` gives the file of the look after so many seeds.
        """
        return files(self.frozen_study(name, budget), compose.probes(self.params), look, until)

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
        budget = self.budget(name, budget)
        return self._after(self._looks(name, budget), name, budget)

    def _looks(self, name: str, budget: str) -> int | None:
        """How many looks at a study are asked for; None for all."""
        if not isinstance(self.looks, str):
            return self.looks
        key = f"looks made {budget}/{name}"
        if key not in self.entries:  # so the jobs of a workflow do not count later runs
            stages = self._after(None, name, budget)
            whole = load(Path(stages["study"]["settings"]))
            number = trained_looks(whole, _of_look(stages), self._is_trained)
            self.entries[key] = {"known": {"looks": number}}
        found: int = self.entries[key]["known"]["looks"]
        return found

    def _is_trained(self, run: Run) -> bool:
        folder = Path("data/runs", run.folder)
        settings = Path(self.runs.parameters(run, "pretrain")["settings"])
        return trained_run.ended(folder) and not trained_run.difference(run, folder, settings)

    def _after(self, looks: int | None, name: str, budget: str) -> dict[str, Stage]:
        key = f"study {budget}/{name}" + (f" after {looks} looks" if looks else "")
        for dataset in self.entries.get(key, {}).get("study", {}).get("datasets", ()):
            self.datasets.labelled(dataset)  # if that has changed, the study must be planned again
        if key not in self.entries:
            from unlabel.workflow import study_content  # loads torch, see `_report`

            study = self.for_dataset(read(self.params, name), budget)
            claims, metrics = study.resolved_claims(self.params), study.metrics()
            for dataset in (*study.datasets, *study.transfer):
                self.datasets.parameters(dataset)
            content = study_content.content(study, budget, self.runs, self.datasets)
            study_content.check(study, budget, claims, self.runs, self.datasets)
            # Fine-tuning and transfer are jobs of their own, so only studies that need them wait.
            stages = needs(metrics, study.transfer, study.probes)
            stages |= {"transfer": bool(study.transfer)}
            content |= {"name": name, "claims": [asdict(each) for each in claims]}
            content |= {"metrics": metrics, "stages": stages}
            until = seeds_until(study.looks, looks)
            frozen = self.freezer.freeze(content | {"until": until})
            made = study_content.made(study, budget, stages, self.runs)
            datasets = study_content.datasets(study, budget, self.runs, self.probes)
            for dataset in datasets:
                self.datasets.parameters(dataset)
            self.entries[key] = {"study": frozen | {"datasets": datasets, "made": made}}
            if study.looks:  # which neither words nor later looks change
                self.entries[key]["look"] = self.freezer.freeze(content | dict.fromkeys(WORDS, ""))
        return self.entries[key]


def _of_look(stages: dict[str, Stage]) -> str:
    """The name of the frozen settings of a study's looks; empty if it has none."""
    return Path(stages["look"]["settings"]).stem if "look" in stages else ""
