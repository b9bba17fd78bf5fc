"""The files with fixed keys: what is missing or nobody reads is said in one sentence."""

import shutil
from pathlib import Path

import pytest

from support.models import PARAMS
from unlabel.errors import UserError
from unlabel.params import command_line, compose, defaults


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return shutil.copytree(PARAMS, tmp_path / "params")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dataset: null", "datset: cifar10", "has 'datset', .*; did you mean 'dataset'?"),
        ("budget: quick", "budgett: tiny", "has 'budgett', .*; did you mean 'budget'?"),
        ("budget: quick", "", "workflow.yaml lacks 'budget'"),
        ("study: leaderboard", "study:", "workflow.yaml lacks 'study'"),
        (
            "looks: null",
            "looks: null\nstudy: smoke",
            "the key 'study' is there twice, in lines 2 and",
        ),
        ("looks: null", "5: null", "has the key 5"),
    ],
)
def test_a_wrong_workflow_is_explained_whatever_is_asked_for(params, old, new, said):
    change(params / "workflow.yaml", old, new)
    with pytest.raises(UserError, match=said):
        command_line.asked({"study": "smoke", "budget": "tiny"}, params)


@pytest.mark.parametrize("key", ["study", "budget"])
def test_an_empty_name_on_the_command_line_is_explained(key):
    assert command_line.named({key: 2024}, key) == "2024"
    for config in ({key: None}, {key: ""}, {}):
        with pytest.raises(UserError, match=f"--config {key}= names nothing"):
            command_line.named(config, key)


@pytest.mark.parametrize("section", sorted({*defaults.SECTIONS} - {"probes"}))
def test_a_section_with_another_name_is_blamed_itself(params, section):
    change(params / "config.yaml", f"\n{section}:", f"\n{section}x:")
    with pytest.raises(UserError, match=f"has '{section}x', .*; did you mean '{section}'?"):
        compose.settings(params, "tiny", "digits", "simclr", "base")


@pytest.mark.parametrize("section", ["monitor", "optimizer", "transfer"])
def test_a_section_that_is_missing_is_named(params, section):
    config = params / "config.yaml"
    before, _, after = config.read_text().partition(f"\n{section}:")
    rest = after.splitlines(keepends=True)[1:]
    while rest and rest[0].startswith(" "):
        rest = rest[1:]
    config.write_text(f"{before}\n{''.join(rest)}")
    with pytest.raises(UserError, match=f"config.yaml lacks '{section}'"):
        compose.settings(params, "tiny", "digits", "simclr", "base")


@pytest.mark.parametrize("key", ["epochs", "batch"])
def test_a_budget_that_lacks_what_training_needs_is_explained(params, key):
    budget = params / "budget/tiny.yaml"
    lines = budget.read_text().splitlines()
    first = next(line for line in lines if line.strip().startswith(f"{key}:"))
    lines.remove(first)
    budget.write_text("\n".join(lines))
    with pytest.raises(UserError, match=f"training lacks '{key}', which .* needs"):
        compose.settings(params, "tiny", "digits", "simclr", "base")
