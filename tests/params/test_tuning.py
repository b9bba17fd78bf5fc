"""The study `tuning` gives each method the same small grid."""

from typing import Any

import pytest
import yaml

from support.models import PARAMS, TRAINED, composed
from unlabel.params import study
from unlabel.params.compose import split
from unlabel.params.settings import load

ASKED = study.read(PARAMS, "tuning")
NEITHER = ("supervised", "distillation")  # a reference, and what needs a teacher of the user's
TUNED = [name for name in TRAINED if name not in NEITHER]


def rate(name: str) -> float:
    """The learning rate of a method at `quick`."""
    own = PARAMS / f"method/quick/{name}.yaml"
    optimizer = load(own)["optimizer"] if own.exists() else {}
    return float(optimizer.get("lr") or load(PARAMS / "budget/quick.yaml")["optimizer"]["lr"])


def setting(recipe: dict[str, Any], key: str) -> Any:
    """A setting by its dotted name; None if the recipe leaves it to another file."""
    found: Any = recipe
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def number(value: Any) -> float:
    """A value; of a range, its lower end."""
    return float(value[0] if isinstance(value, list) else value)


@pytest.mark.parametrize("name", TUNED)
def test_each_method_tries_two_rates_and_two_values_of_the_knob_that_its_recipe_names(name):
    recipe = load(PARAMS / f"method/{name}.yaml")
    knob = recipe["about"]["knob"]
    arms = [arm for arm in ASKED.groups(PARAMS) if name in arm.methods]
    assert [arm.label for arm in arms if not arm.overrides] == ["base"]
    tried: dict[str, list[float]] = {"optimizer.lr": [], knob: []}
    for (override,) in (split(arm.variant) for arm in arms if arm.overrides):
        key, _, text = override.partition("=")
        tried[key].append(number(yaml.safe_load(text)))
    assert sorted(tried["optimizer.lr"]) == [rate(name) / 2, 2 * rate(name)]
    base = setting(recipe, knob)
    low, high = sorted(tried[knob])
    assert low < number(setting(composed(name), knob) if base is None else base) < high


def test_it_is_judged_on_the_validation_split_alone():
    assert ASKED.metrics() == ["validation_linear"]
    assert ASKED.seeds == [0]
    assert set(ASKED.methods) == set(TUNED)
