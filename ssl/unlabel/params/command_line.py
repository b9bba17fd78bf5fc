"""The dataset that the command line chooses instead of the study's own."""

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
    """A dataset's name, and the changes to its recipe."""

    dataset: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    def of(self, dataset: str) -> Mapping[str, Any]:
        """The changes to the recipe of `dataset`."""
        return self.changes if dataset == self.dataset else {}


def asked(config: Mapping[str, Any], params: Path, typed: Sequence[str] = ()) -> ChosenDataset:
    """The dataset of `--config dataset=NAME`, and the other settings of its recipe there.

    `typed` is the command line, since Snakemake reads `path=photos #1` as YAML and drops the
    comment. Raises `UserError` for a setting that neither params/workflow.yaml nor the recipe has.
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
    """The value as YAML reads it: Snakemake leaves null and the numbers in a list as text."""
    if isinstance(value, list):
        return [_value(each) if isinstance(each, list) else _scalar(str(each)) for each in value]
    return None if value == "null" else value


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
