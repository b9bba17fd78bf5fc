"""From `params/` to the runs of the workflow, and each stage's settings.

The settings of each stage are frozen in a file that is named by its content. A rule has that
file's name as its parameter: so a changed value reruns what depends on it, a changed comment
nothing, and a running workflow goes on with the settings it started with.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import yaml

from unlabel import files
from unlabel.data.source_state import look
from unlabel.files import FROZEN
from unlabel.fingerprint import fingerprint
from unlabel.params import compose
from unlabel.params.command_line import ChosenDataset
from unlabel.params.settings import Settings, build, check, load
from unlabel.params.study import Study, needs, read
from unlabel.run import BASELINE, Run
from unlabel.workflow.freeze import as_yaml, digest, is_whole, modules

Stage = dict[str, Any]  # its frozen "settings", a file, and the "modules" they name

PREPARED = Path("data/prepared")
RANK = (
    "effective_rank"  # what encoders are ranked by where there are no labels, as arXiv:2210.02885
)
ENVIRONMENT = "UNLABEL_PLAN"  # names the frozen plan to the jobs of a running workflow


class Plan:
    """What each stage of each run depends on: its frozen settings, and its code's fingerprint."""

    def __init__(self, params: Path, frozen: Path = FROZEN, chosen: ChosenDataset | None = None):
        self.params, self.frozen, self.chosen = params, frozen, chosen or ChosenDataset()
        self.main = ENVIRONMENT not in os.environ  # or is this process one of a workflow's jobs?
        self.stages: dict[str, dict[str, Stage]] = {}  # of each run's folder, and each dataset
        self.briefs: dict[str, dict[str, Any]] = {}
        self.composed: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self.looked: set[str] = set()  # at these datasets this process has looked
        # What runs that differ in their seed alone have in common, by the folder of seed 0.
        self.frozen_text: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self.pretraining: dict[str, dict[str, Any]] = {}

    @classmethod
    def current(
        cls,
        params: Path = Path("params"),
        frozen: Path = FROZEN,
        chosen: ChosenDataset | None = None,
    ) -> "Plan":
        """The plan of the workflow this process is a job of, or else a new one."""
        plan = cls(params, frozen, chosen)
        if not plan.main:
            plan.stages = json.loads(Path(os.environ[ENVIRONMENT]).read_text(encoding="utf-8"))
        elif (path := plan._cache()).exists():
            text = path.read_bytes()
            if plan._frozen_plan(text).exists() and plan._whole(json.loads(text)):
                plan.stages = json.loads(text)
        return plan

    def keep(self) -> None:
        """Freeze the plan, for this workflow's jobs and for the next time nothing has changed."""
        if self.main:
            text = json.dumps(self.stages, sort_keys=True)
            path = self._frozen_plan(text.encode()).resolve()
            for each in (self._cache(), path):
                files.write_text(each, text)
            os.environ[ENVIRONMENT] = str(path)

    def add(self, run: Run) -> None:
        """Plan a run, and its dataset. Raises `UserError` if there is no such run."""
        self.add_training(run)
        self.dataset(run.dataset)

    def add_training(self, run: Run) -> None:
        """Plan a run of a dataset that is prepared. Raises `UserError` if there is no such run."""
        if run.folder not in self.stages:
            self.stages[run.folder] = self._freeze_run(run)

    def of(self, run: Run, stage: str) -> dict[str, str]:
        """What the rule `stage` of a run has as its parameters."""
        return self._parameters(self.stages[run.folder], stage)

    def parameters(self, stage: str, **known: str) -> Callable[[Any], dict[str, str]]:
        """`of`, as a function of the wildcards that are not yet `known`.

        Snakemake reruns for a changed parameter only if it is a function of wildcards alone.
        """
        return lambda wildcards: self.of(_run(wildcards, known), stage)

    def state(self, **known: str) -> Callable[[Any], str]:
        """The folder of a run's training state, as a function of the wildcards not yet `known`.

        Each settings have their own, so those of an interrupted run are there when they come back.
        """

        def folder(wildcards: Any) -> str:
            run = _run(wildcards, known)
            frozen = Path(self.stages[run.folder]["pretrain"]["settings"])
            return f"data/runs/{run.folder}/state.{frozen.stem}"

        return folder

    def processes(self, each: int = 1, **known: str) -> Callable[[Any], int]:
        """What a run's training needs where each process needs so much, as `state` a function."""

        def needed(wildcards: Any) -> int:
            return each * int(self.trained_by(_run(wildcards, known))["training"]["processes"])

        return needed

    def dataset(self, name: str) -> dict[str, str]:
        """What the rule `prepare` of a dataset has as its parameters.

        Raises `UserError` if it is unknown or wrong, or images of one's own are not to be found.
        """
        key = f"dataset {name}"
        if key not in self.stages or (self.main and key not in self.looked):
            self.looked.add(key)
            self._look(key, name)
        return self._parameters(self.stages[key], "prepare")

    def labelled(self, name: str) -> bool:
        """Has any image of a dataset a label?"""
        self.dataset(name)
        return bool(self.stages[f"dataset {name}"]["prepare"]["labelled"])

    def for_dataset(self, study: Study, budget: str) -> Study:
        """The study on the dataset that is asked for; on one without labels, as far as it goes.

        There no method learns from labels, and encoders are ranked by what can be measured.
        """
        if self.chosen.dataset:
            study = replace(study, datasets=[self.chosen.dataset])
        unlabelled = [name for name in study.datasets if not self.labelled(name)]
        if not unlabelled:
            return study
        if "unlabelled" not in self.stages:
            from unlabel.workflow import (
                known_metrics,  # loads torch, which a plan that is kept has no need of
            )

            settings = self.settings(Run(budget, unlabelled[0], BASELINE, "base", 0))
            known = {
                "learners": compose.learners(self.params),
                "metrics": sorted(known_metrics.measured(settings, labelled=False)),
            }
            self.stages["unlabelled"] = {"known": known}
        known = self.stages["unlabelled"]["known"]
        left = [name for name in study.all(self.params) if name in known["learners"]]
        if left and self.main:
            print(f"{unlabelled[0]} has no labels: left out {', '.join(left)}", file=sys.stderr)
        study = study.without(left, self.params)
        measured = study.metric in known["metrics"] or "." in study.metric
        everywhere = len(unlabelled) == len(study.datasets)
        if everywhere and not measured and not study.claims:
            return replace(study, metric=RANK)
        return study

    def report(self, study: Study, budget: str) -> dict[str, str]:
        """What the rule `report` of a study has as its parameters."""
        return self._parameters({"report": self._freeze(self._brief(study, budget))}, "report")

    def page(self, study: Study, budget: str, method: str) -> dict[str, str]:
        """What the rule `method` has as its parameters: a method's runs, and the untrained ones."""
        content = self._brief(study, budget)
        kept = (method, BASELINE)
        content["runs"] = [run for run in content["runs"] if run["method"] in kept]
        content["methods"] = {key: each for key, each in content["methods"].items() if key in kept}
        frozen = self._freeze(content | {"method": method})
        return self._parameters({"method": frozen}, "method")

    def study(self, name: str, budget: str) -> dict[str, str]:
        """What the rule `study` of params/study/NAME.yaml has as its parameters.

        Raises `UserError` if anything is wrong with the study, its runs or its claims.
        """
        key = f"study {budget}/{name}"
        for dataset in self.stages.get(key, {}).get("study", {}).get("datasets", ()):
            self.dataset(dataset)  # where it has lost its labels, the study is another
        if key not in self.stages:
            study = self.for_dataset(read(self.params, name), budget)
            for target in study.transfer:
                self.dataset(target)
            claims = study.claimed(self.params)
            content = self._brief(study, budget)
            metrics = study.metrics(self.params)
            self._rehearse(study, budget, metrics)
            # Fine-tuning and transfer are jobs of their own, so they are not done for nothing.
            stages = needs(metrics, study.transfer)
            content |= {"name": name, "claims": [each.written() for each in claims]}
            content |= {"metrics": metrics, "stages": stages | {"transfer": bool(study.transfer)}}
            datasets = [*study.datasets, *study.transfer]
            self.stages[key] = {"study": self._freeze(content) | {"datasets": datasets}}
        return self._parameters(self.stages[key], "study")

    def statements(self) -> dict[str, str]:
        """What the rule `statements` has as its parameters."""
        return {"code": fingerprint("unlabel.stage.statements")}

    def bench(self) -> dict[str, str]:
        """What the rule `bench` has as its parameters."""
        return {"code": fingerprint("unlabel.stage.bench")}

    def brief(self, name: str, budget: str) -> dict[str, Any]:
        """What `study` has frozen: the study, its runs, and the stages they need."""
        return load(Path(self.study(name, budget)["settings"]))

    def inputs(self, name: str, budget: str) -> list[str]:
        """The files below data/runs that a study reads."""
        brief = self.brief(name, budget)
        wanted = ["params.yaml", "run.json", "log.parquet"]
        if brief["stages"]["probe"]:
            wanted += [f"metrics/{probe}.json" for probe in compose.probes(self.params)]
        if brief["stages"]["finetune"]:
            wanted.append("metrics/finetune.json")
        wanted += [f"transfer/{target}.json" for target in brief["transfer"]]
        folders = dict.fromkeys(run["folder"] for run in brief["runs"])
        return [f"data/runs/{folder}/{file}" for folder in folders for file in wanted]

    def _look(self, key: str, name: str) -> None:
        """Plan a dataset; anew, where its images are in a place of the user's."""
        known = self.stages.get(key, {}).get("prepare")
        if known and not known["place"]:
            return
        recipe = compose.recipe(self.params, name, **self.chosen.of(name))
        told = look(recipe, PREPARED / name / "report.json", name, self.frozen)
        labelled = told.pop("labelled", None if told else True)
        frozen = self._freeze({"name": name, "dataset": recipe, **told})
        if known and known["settings"] == frozen["settings"]:
            return
        check(recipe, "dataset")
        if labelled is None:
            labelled = build(recipe, "dataset").labelled()
        self.stages[key] = {"prepare": frozen | {"labelled": labelled, "place": bool(told)}}
        if known and known["labelled"] != labelled:
            self.stages = {k: v for k, v in self.stages.items() if not k.startswith("study ")}

    def _rehearse(self, study: Study, budget: str, metrics: list[str]) -> None:
        """Raise `UserError` if a run has too few images, or a metric will be measured of none."""
        from unlabel.workflow import (
            known_metrics,  # loads torch, which a plan that is kept has no need of
        )

        runs = study.runs(self.params, budget)
        for variant in dict.fromkeys(replace(run, seed=0) for _, run in runs):
            known_metrics.check_size(self.settings(variant), variant.folder)
        for metric in metrics:
            terms = [term for each in study.claimed(self.params) for term in each.terms]
            methods = [term.method for term in terms if term.metric == metric]
            for method in dict.fromkeys(methods or [runs[0][1].method]):
                run = next(run for _, run in runs if run.method == method)
                where, labelled = f"the study {study.title!r}", self.labelled(run.dataset)
                where += "" if labelled else f" on {run.dataset}, which has no labels,"
                known_metrics.check(metric, self.settings(run), study.transfer, where, labelled)

    def _brief(self, study: Study, budget: str) -> dict[str, Any]:
        """What the pages of a study are about, anew for each caller."""
        key = json.dumps([asdict(study), budget])
        if key not in self.briefs:
            self.briefs[key] = self._described(study, budget)
        return dict(self.briefs[key])

    def _described(self, study: Study, budget: str) -> dict[str, Any]:
        runs = []
        for arm, run in study.runs(self.params, budget):
            self.add(run)
            runs.append(asdict(run) | {"arm": arm, "folder": run.folder} | self._told(run))
        content = asdict(study) | {"budget": budget, "runs": runs}
        content["methods"] = {
            method: self._about(method) for method in sorted({r["method"] for r in runs})
        }
        return content

    def trained_by(self, run: Run) -> dict[str, Any]:
        """The settings of a planned run's training, but for its seed and what names it."""
        alike = replace(run, seed=0).folder
        if alike not in self.pretraining:
            frozen = Path(self.stages[run.folder]["pretrain"]["settings"])
            self.pretraining[alike] = load(frozen)
        return self.pretraining[alike]

    def _told(self, run: Run) -> dict[str, Any]:
        """What pages tell of a run's settings."""
        settings = self.trained_by(run)
        encoder = settings["encoder"]["_target_"].split(".")[-2]
        return {"encoder": encoder} | {
            key: settings["training"][key] for key in ("epochs", "images", "batch")
        }

    def settings(self, run: Run) -> dict[str, Any]:
        """All settings of a run, resolved and checked."""
        key = (run.budget, run.dataset, run.method, run.variant)
        if key not in self.composed:
            self.composed[key] = compose.settings(self.params, *key)
        return {**self.composed[key], "seed": run.seed}

    def _freeze_run(self, run: Run) -> dict[str, Stage]:
        settings = self.settings(run)
        moved = {name: settings["probe"][name] for name in settings["transfer"]["probes"]}
        seed, alike = as_yaml({"seed": run.seed}), replace(run, seed=0).folder

        def frozen(stage: str, own: str, *sections: str, **more: Any) -> Stage:
            key = (alike, stage)
            if key not in self.frozen_text:
                shared = {section: settings[section] for section in sections} | more
                self.frozen_text[key] = as_yaml(shared), modules(shared)
            text, named = self.frozen_text[key]
            return self._keep(own + text, named)

        training = ("hardware", "training", "optimizer", "encoder", "method")
        return {
            "pretrain": frozen("pretrain", as_yaml({"run": run.folder}) + seed, *training),
            "features": frozen("features", "", "hardware", "method", "features"),
            "probe": frozen("probe", seed, "hardware", "probe"),
            "transfer": frozen("transfer", seed, "hardware", "transfer", probe=moved),
            "finetune": frozen("finetune", seed, "hardware", "encoder", "finetune"),
        }

    def _freeze(self, settings: Settings) -> Stage:
        return self._keep(as_yaml(settings), modules(settings))

    def _keep(self, text: str, modules: list[str]) -> Stage:
        path = self.frozen / f"{digest(text.encode())}.yaml"
        if not is_whole(path):
            # There may be thousands, and the disk takes a millisecond or more for each. A power cut
            # ends the workflow too, and the next one looks whether each is what its name says.
            files.write_text(path, text, durable=False)
        return {"settings": str(path), "modules": modules}

    def _parameters(self, stages: Mapping[str, Stage], stage: str) -> dict[str, str]:
        code = fingerprint(f"unlabel.stage.{stage}", *stages[stage]["modules"])
        return {"settings": stages[stage]["settings"], "code": code}

    def _about(self, method: str) -> dict[str, Any]:
        recipe = yaml.safe_load((self.params / "method" / f"{method}.yaml").read_text("utf-8"))
        return recipe.get("about") or {}

    def _frozen_plan(self, text: bytes) -> Path:
        return self.frozen / f"plan-{digest(text)}.json"

    def _whole(self, stages: Mapping[str, Mapping[str, Stage]]) -> bool:
        """Is what a kept plan has frozen still there, and what its name says it is?"""
        every = (stage.get("settings") for each in stages.values() for stage in each.values())
        return all(is_whole(Path(path)) for path in dict.fromkeys(every) if path)

    def _cache(self) -> Path:
        """Where the plan of just these recipes, checked by just this code, is kept."""
        recipes = sorted(self.params.rglob("*.yaml"))
        text = "".join(f"{path} {path.read_text('utf-8')}\n" for path in recipes) + repr(
            self.chosen
        )
        name = digest((text + fingerprint("unlabel.workflow.plan")).encode())
        return self.frozen / f"cache-{name}.json"


def _run(wildcards: Any, known: Mapping[str, str]) -> Run:
    names = {field.name: known.get(field.name) or wildcards[field.name] for field in fields(Run)}
    return Run.parse("/".join(names.values()))
