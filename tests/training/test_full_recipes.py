"""Recipes of budget `full`: 200 steps on tiny images end with a lower loss than they begin with.

`UNLABEL_EVERY=1 pytest -s` tries every recipe and prints the table of reports/full.md; otherwise
some are tried, those that once failed among them.
"""

import os

import pytest

from support.courses import course
from support.models import PARAMS, TRAINED
from unlabel.hardware import Hardware
from unlabel.params.settings import load

SOME = ["vae", "diffusion", "gan", "bigan", "moco_v3"]


def shown(losses: list[float]) -> str:
    return " and ".join(f"{loss:.3g}" for loss in losses)


@pytest.mark.parametrize("name", TRAINED if os.environ.get("UNLABEL_EVERY") else SOME)
def test_a_recipe_for_full_trains(name: str, hardware: Hardware) -> None:
    found = course(name, hardware)
    drawn = "" if found.drawn is None else " → ".join(f"{each:.2g}" for each in found.drawn)
    row = [name, shown(found.first), shown(found.last), drawn, f"{found.seconds:.1f} s"]
    print(f"\n| {' | '.join(row)} |")
    assert found.learns


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_has_a_recipe_for_full_that_says_where_it_is_from(name: str) -> None:
    recipe = PARAMS / f"method/full/{name}.yaml"
    said = [line for line in recipe.read_text().splitlines() if line.startswith("# ")]
    assert len(said) > 1  # besides the package
    assert load(recipe)
