"""The runs of a plan: the frozen settings of each of their stages."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlabel.params import compose
from unlabel.params.settings import load, target
from unlabel.run import Run
from unlabel.workflow.freeze import Entries, Freezer, Stage, as_yaml, digest, modules, parameters

SECTIONS = {  # the settings that each stage reads
    "pretrain": ("hardware", "training", "optimizer", "encoder", "method"),
    "features": ("hardware", "method", "features"),
    "probe": ("hardware", "probe"),
    "transfer": ("hardware", "transfer", "probe"),
    "finetune": ("hardware", "encoder", "finetune"),
}


class PlannedRuns:
    """Runs by their folder. What runs share that differ in the seed alone is composed once."""

    def __init__(self, params: Path, entries: Entries, freezer: Freezer):
        self.params, self.entries, self.freezer = params, entries, freezer
        self._composed: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        # Both by the folder of seed 0.
        self._shared: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self._trained: dict[str, dict[str, Any]] = {}

    def add(self, run: Run) -> None:
        """Plan a run. Raises `UserError` if there is no such run."""
        if run.folder not in self.entries:
            self.entries[run.folder] = self._stages(run)

    def parameters(self, run: Run, stage: str) -> dict[str, str]:
        """The parameters of the rule of a planned run's stage."""
        return parameters(self.entries[run.folder], stage)

    def settle(self, run: Run) -> None:
        """Take the code of all of a planned run's stages as it is now."""
        for stage in self.entries[run.folder]:
            self.parameters(run, stage)

    def like(self, run: Run, stage: str) -> tuple[str, list[str]]:
        """The digest of what a stage's settings share between seeds; the modules they name."""
        text, named = self._settings_of(stage, run, self.settings(run))
        return digest(text.encode()), named

    def frozen(self, run: Run) -> Path:
        """The frozen settings of a planned run's training."""
        return Path(self.entries[run.folder]["pretrain"]["settings"])

    def trains(self, run: Run) -> bool:
        """Does a planned run's method train anything? `random` does not."""
        return bool(self.entries[run.folder]["pretrain"]["trains"])

    def trained_by(self, run: Run) -> dict[str, Any]:
        """The settings of a planned run's training, except its seed and its name."""
        alike = replace(run, seed=0).folder
        if alike not in self._trained:
            self._trained[alike] = load(self.frozen(run))
        return self._trained[alike]

    def settings(self, run: Run) -> dict[str, Any]:
        """All settings of a run, resolved and checked. Raises `UserError` for a wrong one."""
        key = (run.budget, run.dataset, run.method, run.variant)
        if key not in self._composed:
            self._composed[key] = compose.settings(self.params, *key)
        return {**self._composed[key], "seed": run.seed}

    def _stages(self, run: Run) -> dict[str, Stage]:
        settings = self.settings(run)
        seed = as_yaml({"seed": run.seed})
        first = {"pretrain": as_yaml({"run": run.folder}) + seed, "features": ""}
        stages = {}
        for stage in SECTIONS:
            text, named = self._settings_of(stage, run, settings)
            stages[stage] = self.freezer.write(first.get(stage, seed) + text, named)
        # a method without a loss has nothing to train
        stages["pretrain"]["trains"] = bool(target(settings["method"], "method").logs)
        return stages

    def _settings_of(
        self, stage: str, run: Run, settings: Mapping[str, Any]
    ) -> tuple[str, list[str]]:
        """A stage's settings as YAML, without what differs between seeds; the modules they name."""
        key = (replace(run, seed=0).folder, stage)
        if key not in self._shared:
            shared = {section: settings[section] for section in SECTIONS[stage]}
            if stage == "transfer":
                probes = settings["transfer"]["probes"]
                shared["probe"] = {name: settings["probe"][name] for name in probes}
            self._shared[key] = as_yaml(shared), modules(shared)
        return self._shared[key]
