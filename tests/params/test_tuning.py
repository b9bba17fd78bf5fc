"""The study `tuning` gives each method the same small grid."""

import pytest

from support.models import METHODS, PARAMS, composed
from unlabel.params import study
from unlabel.params.compose import settings, split

ASKED = study.read(PARAMS, "tuning")
TUNED = [name for name in METHODS if name not in ("random", "supervised")]  # the references


def value(found: dict, key: str) -> float:
    """A setting; of a range, its lower end."""
    for part in key.split("."):
        found = found[part]
    return found[0] if isinstance(found, list) else found


@pytest.mark.parametrize("name", TUNED)
def test_each_method_tries_two_rates_and_two_values_of_the_knob_that_its_recipe_names(name):
    base = composed(name, budget="quick")
    arms = [arm for arm in ASKED.groups(PARAMS) if name in arm.methods]
    assert [arm.label for arm in arms if not arm.overrides] == ["base"]
    keys = [split(arm.variant)[0].split("=")[0] for arm in arms if arm.overrides]
    knob = base["about"]["knob"]
    assert sorted(keys) == sorted(["optimizer.lr"] * 2 + [knob] * 2)
    made = [settings(PARAMS, "quick", "digits", name, a.variant) for a in arms if a.overrides]
    tried = {
        key: sorted(value(each, key) for each, k in zip(made, keys, strict=True) if k == key)
        for key in keys
    }
    rate = value(base, "optimizer.lr")
    assert tried["optimizer.lr"] == [rate / 2, 2 * rate]
    assert tried[knob][0] < value(base, knob) < tried[knob][1]


def test_it_is_judged_on_the_validation_split_alone():
    assert ASKED.metrics() == ["validation_linear"]
    assert ASKED.seeds == [0]
    assert set(ASKED.methods) == set(TUNED)
