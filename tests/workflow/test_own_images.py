"""The workflow on one's own images."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_config

from support import project
from support.models import PARAMS
from support.pixels import folder, picture
from unlabel.errors import UserError
from unlabel.params import command_line, compose
from unlabel.params.settings import check
from unlabel.workflow import run_states
from unlabel.workflow.plan import Plan


def test_unlabelled_images_go_through_the_whole_workflow(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", _=range(110))
    study = project.STUDY | {"methods": ["random", "supervised", "rotation"]}
    work = project.project(tmp_path / "work", study)
    asked = ("--config", "dataset=folder", f"path={root}", "size=16")
    said = project.snakemake(work, "--cores", "1", "reports/index.html", *asked)
    assert "folder has no labels: left out supervised" in said
    metrics = work / "reports/metrics/folder"
    assert {path.name for path in metrics.iterdir()} == {"random.json", "rotation.json"}
    measures = json.loads((metrics / "rotation.json").read_text())
    assert {"effective_rank", "alignment", "uniformity"} <= set(measures)
    assert not {"linear", "knn"} & set(measures)
    page = (work / "reports/index.html").read_text()
    assert "has the highest effective rank of all methods without labels" in page
    assert "Without labels, accuracy cannot be measured" in page
    assert "Left out: supervised. The reason: it learns from labels, and folder has none." in page

    def again(*arguments: str) -> str:
        return project.snakemake(work, "-n", "reports/index.html", *arguments)

    assert "Nothing to be done" in again(*asked)
    (root / "000.png").touch()
    (root / "notes.txt").write_text("on these images")
    assert "Nothing to be done" in again(*asked)
    (root / "new.png").write_bytes(picture(200))
    assert "1 prepare   the files it is made from changed (folder)" in again(*asked)
    root.rename(tmp_path / "elsewhere")  # as on another machine: what was prepared counts
    (tmp_path / "elsewhere/new.png").unlink()
    assert "Nothing to be done" in again(*asked)
    elsewhere = [each.replace(str(root), f"{root}s") for each in asked]
    command = ("-n", "reports/index.html", *elsewhere)
    assert "imagess does not exist" in project.snakemake(work, *command, fails=True)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"dataset": "folder"}, "the dataset 'folder' has no path; say where your images are"),
        ({"dataset": "foldr", "path": "x"}, "unknown dataset 'foldr': did you mean 'folder'?"),
        ({"dataset": "folder", "sise": 16}, "neither the workflow's nor folder's; did you mean"),
        ({"path": "x"}, r"--config path=\.\.\. is not the workflow's"),
        ({"dataset": "folder", "path": "/no/where"}, "/no/where does not exist; say where"),
        ({"dataset": "folder", "path": "/", "size": "big"}, "dataset.size is 'big', but must be"),
    ],
)  # fmt: skip
def test_mistakes_are_known_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if config.get("path") == "/":
        config = config | {"path": str(folder(tmp_path / "images", _=range(9)))}
    with pytest.raises(UserError, match=said):
        Plan(PARAMS, tmp_path / "frozen", command_line.asked(config, PARAMS)).dataset("folder")
    assert not (tmp_path / "data").exists()


def test_a_dataset_that_alters_ones_own_images_is_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    classes = folder(tmp_path / "classes", cat=range(20), dog=range(20, 40))
    params = shutil.copytree(PARAMS, tmp_path / "params")
    of = {"_target_": "unlabel.dataset.folder.Folder", "path": str(classes)}
    recipe = {"_target_": "unlabel.dataset.altered.Altered", "of": of}
    (params / "dataset/mine.yaml").write_text(yaml.safe_dump(recipe))
    plans = [Plan(params, tmp_path / "frozen").dataset("mine")]
    (classes / "cat/more.png").write_bytes(picture(100))
    plans.append(Plan(params, tmp_path / "frozen").dataset("mine"))
    assert plans[0]["settings"] != plans[1]["settings"]
    shutil.rmtree(classes)
    with pytest.raises(UserError, match="classes does not exist; say where .* dataset=mine path="):
        Plan(params, tmp_path / "frozen").dataset("mine")


def test_a_path_that_the_shell_made_several_of_is_refused() -> None:
    config = {"dataset": "webdataset", "path": "1.tar"}
    with pytest.raises(UserError, match="--config path=... is there 2 times; .* braces"):
        command_line.asked(config, PARAMS, ["--config", "path=0.tar", "path=1.tar"])


def test_values_on_the_command_line_are_as_in_a_recipe() -> None:
    config = {"dataset": "table", "path": 2024, "label": "null", "size": ["8", "12"], "test": 0.3}
    changes = command_line.asked({"study": "smoke", **config}, PARAMS).changes
    assert changes == {"path": "2024", "label": None, "size": [8, 12], "test": 0.3}


@pytest.mark.parametrize(
    ("dataset", "typed", "value"),
    [
        ("stl10", "unlabelled=false", False),
        ("svhn", "extra=true", True),
        ("svhn", "extra=True", True),
        ("table", "outside=true", True),
        ("table", "image=0", "0"),
        ("table", "label=01", "01"),
        ("table", "id=1e3", "1e3"),
        ("table", "split=null", None),
        ("folder", "labels=false", False),
        ("folder", "links=true", True),
        ("folder", "channels=1", 1),
        ("folder", "channels=auto", "auto"),
        ("folder", "range=[0,4095]", [0, 4095]),
        ("folder", "size=24", 24),
        ("folder", "size=[24, 40]", [24, 40]),
        ("folder", "encoded=jpeg", "jpeg"),
        ("folder", "fit=pad", "pad"),
        ("folder", "test=0.3", 0.3),
    ],
)
def test_values_keep_their_types_on_the_command_line(
    dataset: str, typed: str, value: object
) -> None:
    config = parse_config([f"dataset={dataset}", typed])  # as Snakemake reads them
    for words in ([], ["--config", f"dataset={dataset}", typed], [f"--config={typed}"]):
        if not words and typed in ("label=01", "id=1e3"):  # known from the command line alone
            continue
        changes = command_line.asked(config, PARAMS, words).changes
        assert changes == {typed.split("=")[0]: value}
        recipe = compose.recipe(PARAMS, dataset, **changes)
        check(recipe, "dataset")


def test_names_that_are_numbers_are_names() -> None:
    config = parse_config(["study=2024", "budget=1e3", "dataset=folder"])
    assert command_line.names(config)["study"] == "2024"
    assert command_line.names({"study": "smoke", "dataset": None}) == {"study": "smoke"}


def test_runs_on_ones_own_images_are_needed_as_any_study_may_be_run_there(tmp_path: Path) -> None:
    variants = ("base", "method.temperature=9")
    names = [f"folder/simclr/{variant}" for variant in variants]
    for name in (*names, "svhn/simclr/base", "gone/simclr/base"):
        (tmp_path / "runs/tiny" / name / "0").mkdir(parents=True)
    found = run_states.look(Plan(PARAMS, tmp_path / "frozen"), tmp_path / "runs")
    states = {f"{each.run.dataset} {each.run.variant}": each.state for each in found}
    assert states == {
        "folder base": "unfinished",
        "folder method.temperature=9": "orphaned",
        "svhn base": "unfinished",
        "gone base": "stale",  # the prepared images of a name of its own may be removed
    }


def test_a_study_of_labels_is_refused_without_any(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", _=range(9))
    work = project.project(tmp_path / "work", project.STUDY)
    page = "reports/study/supervised_contrastive.html"
    asked = ("--config", "dataset=folder", f"path={root}")
    assert "has no labels" in project.snakemake(work, "-n", page, *asked, fails=True)
    # one of several datasets is enough
    recipe = f"_target_: unlabel.dataset.folder.Folder\npath: {root}\n"
    (work / "params/dataset/mine.yaml").write_text(recipe)
    several = project.STUDY | {"datasets": ["digits", "mine"], "methods": ["simclr"]}
    (work / "params/study/test.yaml").write_text(yaml.safe_dump(several))
    printed = project.snakemake(work, "-n", "reports/study/test.html", fails=True)
    assert "error: the study 'Test' on mine, which has no labels, is about the metric" in printed
