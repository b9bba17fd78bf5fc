"""A run depends on the content of the weights that it starts from, and on code of one's own."""

import os
from pathlib import Path

import pytest
import yaml

from support.models import PARAMS
from unlabel.errors import UserError
from unlabel.params import command_line, study
from unlabel.run import Run
from unlabel.workflow.plan import Plan

RUN = Run("tiny", "digits", "imported", "encoder.weights=w.safetensors+encoder=resnet18", 0)
UPSTREAM = "data/runs/tiny/digits/simclr/base/0/encoder.safetensors"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/weights/w.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one")
    return path


def planned(run: Run = RUN) -> str:
    """The file of the frozen settings of a run, as a new Snakemake finds it."""
    plan = Plan.current(PARAMS, Path("frozen"))
    plan.add(run)
    plan.keep()
    os.environ.pop("UNLABEL_PLAN")
    return plan.runs.parameters(run, "pretrain")["settings"]


def test_only_another_content_of_the_weights_is_another_run(weights):
    first = planned()
    os.utime(weights, (1, 1))
    assert planned() == first
    weights.write_bytes(b"two")
    os.utime(weights, (1, 1))  # an older file than before
    second = planned()
    assert second != first
    weights.write_bytes(b"one")
    assert planned() == first


def test_a_finished_run_needs_its_weights_no_more(weights):
    first = planned()
    out = Path("data/runs", RUN.folder)
    out.mkdir(parents=True)
    (out / "params.yaml").write_text(Path(first).read_text())
    weights.unlink()
    assert planned() == first
    Plan.current(PARAMS, Path("other")).add(RUN)
    (out / "params.yaml").unlink()
    with pytest.raises(UserError, match="cannot read data/weights/w.safetensors: No such file"):
        Plan.current(PARAMS, Path("other")).add(RUN)


def test_the_encoder_of_another_run_is_planned_before(weights, tmp_path):
    params = tmp_path / "params"
    params.mkdir()
    for path in PARAMS.iterdir():
        if path.name != "encoder":
            (params / path.name).symlink_to(path)
    (params / "encoder").mkdir()
    for path in (PARAMS / "encoder").glob("*.yaml"):
        (params / "encoder" / path.name).symlink_to(path)
    recipe = yaml.safe_load((PARAMS / "encoder/resnet_mini.yaml").read_text())
    (params / "encoder/mine.yaml").write_text(yaml.safe_dump(recipe | {"weights": UPSTREAM}))
    plan = Plan(params, Path("frozen"))
    run = Run("tiny", "digits", "byol", "encoder=mine", 0)
    plan.add(run)
    assert plan.runs.weights(run) == [UPSTREAM]
    assert Run.of(UPSTREAM).folder in plan.entries
    assert plan.runs.weights(Run.of(UPSTREAM)) == []


def test_what_imports_nothing_is_refused(weights):
    run = Run("tiny", "digits", "imported", "base", 0)
    with pytest.raises(UserError, match="imported has nothing to import; name weights, as"):
        Plan(PARAMS, Path("frozen")).add(run)
    with pytest.raises(
        UserError, match="encoder.mean is about weights, but encoder.weights is nul"
    ):
        Plan(PARAMS, Path("frozen")).add(Run("tiny", "digits", "simclr", "encoder.mean=[0.5]", 0))


def test_the_command_line_chooses_an_encoder_for_all_runs(weights):
    asked = {"encoder": "resnet18", "weights": "w.safetensors", "allow": ["unused"], "depth": 50}
    chosen = command_line.asked(asked, PARAMS)
    board = Plan(PARAMS, Path("frozen"), chosen).for_dataset(
        study.read(PARAMS, "leaderboard"), "tiny"
    )
    variants = {run.variant for _, run in board.runs(PARAMS, "tiny")}
    wanted = (
        "encoder.allow=[unused]+encoder.depth=50+encoder.weights=w.safetensors+encoder=resnet18"
    )
    assert variants == {wanted, "encoder=vit_mini"}  # the arm that is about another encoder
    assert "mae needs an encoder with patches" in board.left_out["mae"]
    for config, why in (
        ({"encoder": "resnet19"}, "unknown encoder 'resnet19': did you mean 'resnet18'"),
        ({"encoder": "resnet18", "dept": 50}, "--config dept=... is not the workflow's; .*'depth'"),
        ({"encoder": "timm", "weights": "/a/b.pth"}, "put the file, or a link to it, into data/w"),
        ({"weights": "b.pth"}, "--config weights=... is not the workflow's"),
    ):
        with pytest.raises(UserError, match=why):
            command_line.asked(config, PARAMS)


def test_what_the_code_of_an_own_encoder_imports_is_part_of_the_run(weights, tmp_path):
    folder = tmp_path / "params/encoder"
    folder.mkdir(parents=True)
    (folder / "net.py").write_text("from blocks import Block")
    run = Run("tiny", "digits", "simclr", "encoder.file=net.py+encoder.model=Block+encoder=own", 0)
    missing = planned(run)
    (folder / "blocks.py").write_text("class Block: ...")
    first = planned(run)
    (folder / "blocks.py").write_text("class Block: 1")
    assert len({missing, first, planned(run)}) == 3
    (folder / "blocks.py").write_text("class Block: ...")
    assert planned(run) == first
