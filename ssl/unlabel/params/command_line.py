"""The dataset that the command line asks for, in place of a study's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from unlabel.errors import UserError, did_you_mean
from unlabel.params import compose
from unlabel.params.settings import load


@dataclass(frozen=True)
class ChosenDataset:
    """A dataset's name, and what differs from its recipe."""

    dataset: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    def of(self, dataset: str) -> Mapping[str, Any]:
        """What differs from the recipe of `dataset`."""
        return self.changes if dataset == self.dataset else {}


def asked(config: Mapping[str, Any], params: Path, typed: Sequence[str] = ()) -> ChosenDataset:
    """What `--config dataset=NAME` asks for, and other settings of its recipe beside it.

    `typed` is the command line: Snakemake reads `path=photos #1` as YAML, where it ends before the
    #. Raises `UserError` for a setting that neither params/workflow.yaml nor the recipe has.
    """
    known = set(load(params / "workflow.yaml"))
    name = config.get("dataset") or ""
    recipe = set(compose.recipe(params, name)) - {"_target_"} if name else set()
    changes = {key: value for key, value in config.items() if key not in known}
    for key in changes:
        if key not in recipe:
            where = f"neither the workflow's nor {name}'s" if name else "not the workflow's"
            raise UserError(
                f"--config {key}=... is {where}; {did_you_mean(key, known | recipe)}"
                + ("" if name else ". The settings of a dataset need its name, dataset=NAME")
            )
    found = {key: _value(value) for key, value in changes.items()}
    if "path" in changes:
        words = [word.removeprefix("--config=") for word in typed]
        paths = [word.removeprefix("path=") for word in words if word.startswith("path=")]
        # a folder may be called 2024
        found["path"] = paths[-1] if paths else str(changes["path"])
    return ChosenDataset(name, found)


def _value(value: Any) -> Any:
    """As YAML has it: Snakemake leaves null, and the numbers of a list, as they were typed."""
    if isinstance(value, list):
        return [_value(each) if isinstance(each, list) else _scalar(str(each)) for each in value]
    return None if value == "null" else value


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
