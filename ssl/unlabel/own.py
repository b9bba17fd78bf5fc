"""The dataset that the command line asks for, in place of a study's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from unlabel import compose
from unlabel.errors import UserError, nearest
from unlabel.settings import load


@dataclass(frozen=True)
class Own:
    """A dataset's name, and what differs from its recipe."""

    dataset: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    def of(self, dataset: str) -> Mapping[str, Any]:
        """What differs from the recipe of `dataset`."""
        return self.changes if dataset == self.dataset else {}


def asked(config: Mapping[str, Any], params: Path) -> Own:
    """What `--config dataset=NAME` asks for, and other settings of its recipe beside it.

    Raises `UserError` for a setting that neither params/workflow.yaml nor the recipe has.
    """
    known = set(load(params / "workflow.yaml"))
    name = config.get("dataset") or ""
    recipe = set(compose.recipe(params, name)) - {"_target_"} if name else set()
    changes = {key: value for key, value in config.items() if key not in known}
    for key in changes:
        if key not in recipe:
            where = f"neither the workflow's nor {name}'s" if name else "not the workflow's"
            raise UserError(
                f"--config {key}=... is {where}; {nearest(key, known | recipe)}"
                + ("" if name else ". The settings of a dataset need its name, dataset=NAME")
            )
    return Own(name, {key: _value(key, value) for key, value in changes.items()})


def _value(key: str, value: Any) -> Any:
    """As YAML has it: Snakemake leaves null, and the numbers of a list, as they were typed."""
    if key == "path":
        return str(value)  # a folder may be called 2024
    if isinstance(value, list):
        return [yaml.safe_load(str(each)) for each in value]
    return None if value == "null" else value
