"""The study `tuning` gives each method the same small grid, and its recipe is one of its points."""

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
RATE = "optimizer.lr"


def at_quick(name: str, key: str) -> Any:
    """A setting of a recipe at `quick`, by its dotted name."""
    files = [PARAMS / f"method/quick/{name}.yaml", PARAMS / f"method/{name}.yaml"]
    found = [setting(load(file), key) for file in files if file.exists()]
    found.append(setting(load(PARAMS / "budget/quick.yaml"), key))
    known = [each for each in found if each is not None]
    return known[0] if known else setting(composed(name), key)


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
def test_each_method_tries_two_more_rates_and_two_more_values_of_its_knob(name):
    knob = load(PARAMS / f"method/{name}.yaml")["about"]["knob"]
    tried = []
    for arm in (each for each in ASKED.groups(PARAMS) if name in each.methods):
        given = dict(each.split("=", 1) for each in split(arm.variant))
        assert given.keys() <= {RATE, knob}
        chosen = {key: yaml.safe_load(text) for key, text in given.items()}
        tried.append(tuple(number(chosen.get(key) or at_quick(name, key)) for key in (RATE, knob)))
    rates, values = (sorted({each[place] for each in tried}) for place in (0, 1))
    assert len(rates) == len(values) == 3
    (low, rate, high), (lower, value, higher) = rates, values
    assert (low, high) == (rate / 2, 2 * rate)
    cross = [(rate, value), (low, value), (high, value), (rate, lower), (rate, higher)]
    assert sorted(tried) == sorted(cross)


def test_it_is_judged_on_the_validation_split_alone():
    assert ASKED.metrics() == ["validation_linear"]
    assert ASKED.seeds == [0]
    assert set(ASKED.methods) == set(TUNED)
