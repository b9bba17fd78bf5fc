"""The runs of a plan: the frozen settings of each of their stages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlabel.data.expected import Expected, changed
from unlabel.errors import UserError
from unlabel.params import compose, start
from unlabel.params.composed import UNSEEN
from unlabel.params.placement import Placement
from unlabel.params.settings import build, load, target
from unlabel.run import Run
from unlabel.workflow import name_lengths, planned_files
from unlabel.workflow.freeze import (
    Entries,
    Freezer,
    Stage,
    as_yaml,
    digest,
    parameters,
    targets_of,
)

Changes = dict[str, list[Any]]  # see `image_fit`
MEASURE = "measure"  # the stage of a probe on request; its name follows
SECTIONS = {  # the settings that each stage reads, or whose code it runs
    "pretrain": ("hardware", "training", "monitor", "optimizer", "encoder", "method"),
    "features": ("hardware", "encoder", "method", "features"),
    "probe": ("hardware", "probe"),
    "transfer": ("hardware", "encoder", "transfer", "probe"),
    "finetune": ("hardware", "encoder", "finetune"),
    MEASURE: ("hardware", "encoder", MEASURE),
}


class PlannedRuns:
    """Runs by their folder. What runs share that differ in the seed alone is composed once."""

    def __init__(
        self, params: Path, entries: Entries, freezer: Freezer, origin: Callable[[str], str] = str
    ):
        self.params, self.entries, self.freezer = params, entries, freezer
        self.origin = origin  # the recipe's name of a dataset
        groups = ("probe", "dataset")
        self._logged = [name for group in groups for name in compose.names(params, group)]
        self._composed: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self._files: dict[tuple[str, str, str, str], dict[str, str]] = {}
        # Both by the folder of seed 0.
        self._shared: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self._trained: dict[str, dict[str, Any]] = {}
        self._fits: dict[tuple[str, str], Changes] = {}

    def add(self, run: Run) -> None:
        """Plan a run, and those whose encoders it starts from.

        Raises `UserError` if there is no such run, or its name is too long.
        """
        if run.folder not in self.entries:
            name_lengths.check(run, self._logged)
            self.entries[run.folder] = self._stages(run)
        for path in self.weights(run):
            self.add(Run.of(path))

    def parameters(self, run: Run, stage: str) -> dict[str, str]:
        """The parameters of the rule of a planned run's stage."""
        return parameters(self.entries[run.folder], stage)

    def measure(self, run: Run, probe: str) -> Stage:
        """The stage of a probe on request, for a planned run."""
        stages, stage = self.entries[run.folder], f"{MEASURE} {probe}"
        if stage not in stages:
            text, named = self._settings_of(stage, run, self.settings(run))
            stages[stage] = self.freezer.write(as_yaml({"seed": run.seed}) + text, named)
        return stages[stage]

    def like(self, run: Run, stage: str) -> tuple[str, list[str]]:
        """The digest of what a stage's settings share between seeds; the targets they name."""
        text, named = self._settings_of(stage, run, self.settings(run))
        return digest(text.encode()), named

    def frozen(self, run: Run) -> Path:
        """The frozen settings of a planned run's training."""
        return Path(self.entries[run.folder]["pretrain"]["settings"])

    def weights(self, run: Run) -> list[str]:
        """The encoders of other runs that a planned run starts from, or learns from."""
        return list(self.entries[run.folder]["pretrain"].get("weights", ()))

    def trains(self, run: Run) -> bool:
        """Does a planned run's method train anything? `random` does not."""
        return bool(self.entries[run.folder]["pretrain"]["trains"])

    def monitored(self, run: Run) -> bool:
        """Is a planned run's kNN accuracy measured while it trains?"""
        return bool(self.entries[run.folder]["pretrain"].get("monitored"))

    def loggers(self, run: Run) -> list[str]:
        """What gets a planned run's log as it grows."""
        return list(self.entries[run.folder]["pretrain"].get("loggers", ()))

    def placement(self, run: Run) -> Placement:
        """Where a planned run's jobs compute."""
        found: Placement = build(self.entries[run.folder]["pretrain"]["placement"], UNSEEN)
        return found

    def trained_by(self, run: Run) -> dict[str, Any]:
        """The settings of a planned run's training, except its seed and its name."""
        alike = replace(run, seed=0).folder
        if alike not in self._trained:
            self._trained[alike] = load(self.frozen(run))
        return self._trained[alike]

    def settings(self, run: Run) -> dict[str, Any]:
        """All settings of a run, resolved and checked. Raises `UserError` for a wrong one."""
        key = self._key(run)
        if key not in self._composed:
            self._composed[key] = compose.settings(self.params, *key)
            self._files[key] = planned_files.seal(self._composed[key], run, self.freezer.folder)
        return {**self._composed[key], "seed": run.seed}

    def _key(self, run: Run) -> tuple[str, str, str, str]:
        return (run.budget, self.origin(run.dataset), run.method, run.variant)

    def fit(self, run: Run, known: Expected) -> Changes:
        """What a planned run will change in its settings to fit the images of its dataset.

        Raises `UserError` if it cannot work with them.
        """
        stage = self.entries[run.folder]["pretrain"]
        facts = [known.size and list(known.size), known.images and known.images["train"]]
        if stage.get("facts") != facts:
            from unlabel.workflow import image_fit  # loads torch; a kept plan does not

            key = (replace(run, seed=0).folder, str(facts))
            if key not in self._fits:
                try:
                    image_fit.check(self.trained_by(run), known)
                    self._fits[key] = image_fit.changes(self.trained_by(run), known)
                except UserError as error:
                    raise UserError(f"{run.folder.rpartition('/')[0]}: {error}") from error
            stage |= {"facts": facts, "changes": self._fits[key]}
        found: Changes = stage["changes"]
        return found

    def _stages(self, run: Run) -> dict[str, Stage]:
        settings = self.settings(run)
        seed = as_yaml({"seed": run.seed})
        first = {"pretrain": as_yaml({"run": run.folder}) + seed, "features": ""}
        stages = {}
        for stage in (each for each in SECTIONS if each != MEASURE):
            text, named = self._settings_of(stage, run, settings)
            stages[stage] = self.freezer.write(first.get(stage, seed) + text, named)
        if files := self._files[self._key(run)]:
            stages["pretrain"]["files"] = files
        if weights := start.of_runs(settings):
            stages["pretrain"]["weights"] = weights
        for stage in ("features", "transfer"):
            stages[stage]["images"] = settings[stage]["images"]
        # a method without a loss has nothing to train
        stages["pretrain"]["placement"] = settings[UNSEEN]
        trains = bool(target(settings["method"], "method").logs)
        seen = {"monitored": settings["monitor"].get("every") is not None}
        seen["loggers"] = settings["monitor"].get("loggers", [])
        stages["pretrain"] |= {"trains": trains} | (seen if trains else {})
        return stages

    def _settings_of(
        self, stage: str, run: Run, settings: Mapping[str, Any]
    ) -> tuple[str, list[str]]:
        """A stage's settings as YAML, without what differs between seeds; the targets they name."""
        key = (replace(run, seed=0).folder, stage)
        if key not in self._shared:
            kind, _, probe = stage.partition(" ")
            named = [*SECTIONS[kind], *(["start"] if stage == "pretrain" else [])]
            shared = {section: settings[section] for section in named if section in settings}
            if stage == "pretrain":  # nothing that is made depends on who gets the log
                shared["monitor"] = {**settings["monitor"]}
                shared["monitor"].pop("loggers", None)
            if kind == "transfer":
                probes = settings["transfer"]["probes"]
                shared["probe"] = {name: settings["probe"][name] for name in probes}
            if kind == MEASURE:
                shared[MEASURE] = {probe: settings[MEASURE][probe]}
            self._shared[key] = as_yaml(shared), targets_of(shared)
        return self._shared[key]


def say(planned: Mapping[Run, Changes]) -> Iterator[str]:
    """What is made to fit, once for all runs that it is the same for."""
    methods: dict[str, dict[str, None]] = {}
    for run, found in planned.items():
        for key, (before, after) in ((k, v) for k, v in found.items() if k != "images"):
            (images,) = found["images"]
            line = f"{run.dataset}: {changed(key, before, after, images)}"
            methods.setdefault(line, {})[run.method] = None
    every = len({run.method for run in planned})
    for line, names in methods.items():
        yield line + ("" if len(names) == every else f" ({', '.join(names)})")


def followed(loggers: Sequence[str], validation: Sequence[str]) -> list[str]:
    """The flags of a training for those who follow it."""
    given = {"--validation": validation, "--loggers": loggers}
    return [word for flag, words in given.items() if words for word in (flag, *words)]
