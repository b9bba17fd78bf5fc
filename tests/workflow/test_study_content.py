"""What a study's result depends on: the datasets, and the settings of all runs behind it."""

from pathlib import Path

import pytest
import yaml

from support.project import STUDY, project
from support.versions import replace
from unlabel.workflow.plan import Plan

TEACHER = "quick/shapes/rotation/base/3"
WHOLE = STUDY | {"methods": ["imported"], "settings": ["encoder=mine"]}


@pytest.fixture
def params(tmp_path: Path) -> Path:
    found = project(tmp_path / "project", STUDY) / "params"
    mine = (found / "encoder/resnet_mini.yaml").read_text()
    weights = f"data/runs/{TEACHER}/encoder.safetensors"
    (found / "encoder/mine.yaml").write_text(f"{mine}weights: {weights}\n")
    return found


def plan(params: Path, study: dict) -> Plan:
    """A new plan of a study of the name `test`, which is planned."""
    (params / "study/test.yaml").write_text(yaml.safe_dump(study))
    found = Plan(params, params.parent / "frozen")
    found.made("test", "tiny")
    return found


def datasets(plan: Plan) -> list[str]:
    found: list[str] = plan.entries["study tiny/test"]["study"]["datasets"]
    return found


def test_each_dataset_counts_whose_images_a_study_sees(params):
    assert datasets(plan(params, STUDY)) == ["digits"]
    assert datasets(plan(params, STUDY | {"transfer": ["mnist"]})) == ["digits", "mnist"]
    compared = STUDY | {"probes": ["detection"]}  # with the test images of other datasets
    assert datasets(plan(params, compared)) == ["digits", "shapes"]
    assert datasets(plan(params, WHOLE)) == ["digits", "shapes"]


@pytest.mark.parametrize(
    ("recipe", "before", "after", "stage"),
    [
        ("dataset/digits", "validation: 0.1", "validation: 0.2", "prepare"),
        ("dataset/shapes", "seed: 0", "seed: 7", "prepare"),
        ("method/simclr", "temperature: 0.2", "temperature: 0.3", ""),
        ("budget/quick", "epochs: 6", "epochs: 7", "pretrain"),
    ],
)
def test_what_the_run_behind_imported_weights_is_made_from_counts(
    params, recipe, before, after, stage
):
    first = plan(params, WHOLE).made("test", "tiny")
    replace(params / f"{recipe}.yaml", before, after)
    now = plan(params, WHOLE).made("test", "tiny")
    assert [name for name in first if first[name] != now[name]] == ([stage] if stage else [])


def test_code_that_prepares_images_counts(params, monkeypatch):
    first = plan(params, STUDY).made("test", "tiny")
    monkeypatch.setattr("unlabel.workflow.freeze.fingerprint", lambda *names: f"other {names}")
    now = plan(params, STUDY).made("test", "tiny")
    assert first["prepare"] != now["prepare"]
