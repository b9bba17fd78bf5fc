"""DVC sees all recipes and can set each value of them."""

import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from omegaconf.errors import OmegaConfBaseException

from support.models import PARAMS
from support.project import ROOT
from unlabel.params.settings import load

# What Hydra alone resolves: an open choice, and values that are another recipe's.
OPEN = {"run.yaml", "augment/byol_second.yaml"}
RECIPES = sorted(str(path.relative_to(PARAMS)) for path in PARAMS.rglob("*.yaml"))


def test_all_recipes_are_declared():
    assert load(ROOT / "dvc.yaml")["params"] == ["params"]


def leaves(value: dict, prefix: str = "") -> dict[str, object]:
    """The numbers and truths of a recipe by their names in DVC."""
    found: dict[str, object] = {}
    for key, each in value.items():
        if isinstance(each, dict):
            found |= leaves(each, f"{prefix}{key}.")
        elif isinstance(each, int | float) and str(key).isidentifier():
            found[f"{prefix}{key}"] = each
    return found


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_value_can_be_set_and_nothing_else_changes(recipe, tmp_path):
    path = Path(shutil.copy(PARAMS / recipe, tmp_path / "recipe.yaml"))
    before = load(path)
    names = {name: other(value) for name, value in leaves(before).items()}
    try:
        apply_overrides(path, [f"{name}={str(value).lower()}" for name, value in names.items()])
    except OmegaConfBaseException:
        assert recipe in OPEN
        return
    assert recipe not in OPEN
    after = load(path)
    assert leaves(after) == names
    for name, value in leaves(before).items():
        put(after, name, value)
    assert after == before


def other(value: object) -> object:
    return not value if isinstance(value, bool) else value + 1


def put(settings: dict, name: str, value: object) -> None:
    *parents, last = name.split(".")
    for key in parents:
        settings = settings[key]
    settings[last] = value
