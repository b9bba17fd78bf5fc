"""The probes on request of a plan: what each needs, and what it can measure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from unlabel.data.expected import Expected
from unlabel.errors import UserError
from unlabel.params import compose
from unlabel.params.settings import build
from unlabel.params.study import Study
from unlabel.run import Run
from unlabel.workflow.freeze import Entries, parameters
from unlabel.workflow.planned_datasets import PREPARED, PlannedDatasets
from unlabel.workflow.planned_runs import MEASURE, PlannedRuns

EVERY = "all"  # in place of names


class PlannedProbes:
    """Probes that are jobs of their own."""

    def __init__(self, datasets: PlannedDatasets, runs: PlannedRuns, entries: Entries):
        self.datasets, self.runs, self.entries = datasets, runs, entries

    def asked(self, study: Study, names: Iterable[str], budget: str) -> tuple[Study, list[str]]:
        """The study with more probes: those of these `names`, or with "all" those that can measure.

        Also why others cannot. Raises `UserError` for an unknown one, and for one that is named and
        cannot measure a dataset.
        """
        own, names = compose.own_probes(self.runs.params), list(names)
        every = EVERY in names
        names = [*study.probes, *(own if every else names)]
        chosen, left_out = list[str](), list[str]()
        for name in dict.fromkeys(names):
            compose.choose(self.runs.params, "probe", name)
            if name in own:
                why = next(self._refusals(study, name, budget), "")
                if why and not every:
                    raise UserError(why)
                (left_out if why else chosen).append(why or name)
        return replace(study, probes=sorted(chosen)), left_out

    def parameters(self, run: Run, probe: str) -> dict[str, str]:
        """The parameters of the rule `measure`."""
        self.runs.measure(run, probe)
        return parameters(self.entries[run.folder], f"{MEASURE} {probe}")

    def inputs(self, run: Run, probe: str) -> dict[str, list[str]]:
        """The files beside the run's own that a probe reads: `masks`, and `others`, test splits.

        Raises `UserError` if it cannot measure the dataset.
        """
        needs = self._needs(run, probe)
        if why := refusal(probe, needs, run.dataset, self.datasets.expected(run.dataset)):
            raise UserError(why)
        return {
            "masks": [f"{PREPARED}/{run.dataset}/masks.arrow"] if needs["masks"] else [],
            "others": [f"{PREPARED}/{name}/test.arrow" for name in self.others(run, probe)],
        }

    def others(self, run: Run, probe: str) -> list[str]:
        """The datasets that a probe compares a run's own with."""
        return [name for name in self._needs(run, probe)["others"] if name != run.dataset]

    def _refusals(self, study: Study, name: str, budget: str) -> Iterator[str]:
        runs = {run.dataset: run for _, run in study.runs(self.runs.params, budget)}
        for dataset, run in runs.items():
            needs, known = self._needs(run, name), self.datasets.expected(dataset)
            if why := refusal(name, needs, dataset, known):
                yield why

    def _needs(self, run: Run, name: str) -> dict[str, Any]:
        """What a run's probe needs, as `Probe` says; kept in the plan."""
        origin = self.runs.origin(run.dataset)  # a recipe may refer to the dataset's
        key = f"probe {run.budget}/{origin}/{run.method}/{run.variant}/{name}"
        if key not in self.entries:
            recipe = self.runs.settings(run)[MEASURE][name]
            probe = build(recipe, f"{MEASURE}.{name}")  # loads torch; a kept plan does not
            facts = {fact: getattr(probe, fact) for fact in ("labels", "classes", "masks")}
            for other in probe.others:
                compose.choose(self.runs.params, "dataset", other)
            self.entries[key] = {"needs": facts | {"others": list(probe.others)}}
        return self.entries[key]["needs"]


def refusal(name: str, needs: dict[str, Any], dataset: str, known: Expected) -> str:
    """Why a probe cannot measure a dataset; empty if it can, as far as is known."""
    why = ""
    if needs["masks"] and not known.masks:
        why = "it has no masks; shapes and oxford_pet have some"
    elif needs["labels"] and not known.labelled:
        why = "no image has a label"
    elif known.classes and known.classes < needs["classes"]:
        classes = "one class" if known.classes == 1 else f"{known.classes} classes"
        why = f"it has {classes}, and {needs['classes']} are needed"
    return f"the probe {name} cannot measure {dataset}: {why}" if why else ""
