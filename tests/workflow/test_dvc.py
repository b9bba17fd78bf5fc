"""DVC and Snakemake together, on real remotes: versions are shared, compared, and come back."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from support.project import STUDY, digests, project, snakemake
from support.versions import clone, commit, dvc, git, replace, run, unlabel
from unlabel.workflow import dvc as artifacts_of_dvc

METRICS = "reports/metrics/digits/simclr.json"
ENCODER = "data/runs/tiny/digits/simclr/base/0/encoder.safetensors"
KNN = "data/runs/tiny/digits/simclr/base/0/metrics/knn.json"
TEMPERATURE = "params/method/simclr.yaml:method.temperature"


def test_all_that_the_workflow_makes_is_versioned(versioned):
    assert "didn't change" in dvc(versioned, "repro")
    tracked = git(versioned, "ls-files").split()
    small = {
        METRICS,
        "provenance.json",
        "dvc.lock",
        "reports/dvc.yaml",
        "reports/plots/training.csv",
    }
    assert small <= set(tracked)
    assert not any(path.endswith((".safetensors", ".arrow", ".parquet")) for path in tracked)
    listed = dvc(versioned, "list", ".", "-R", "--dvc-only").split()
    made = {str(path.relative_to(versioned)) for path in (versioned / "data").rglob("*.*")}
    assert {path for path in made if not path.startswith("data/README")} <= set(listed)
    assert {"reports/index.html", "reports/results.parquet", "reports/method/simclr.html"} <= set(
        listed
    )
    assert "simclr" in dvc(versioned, "metrics", "show")


def test_plots_are_drawn(versioned, tmp_path):
    said = dvc(versioned, "plots", "show", "-o", str(tmp_path / "page"))
    page = (tmp_path / "page/index.html").read_text()
    assert "Training" in page, said
    assert "Leaderboard" in page, said


def test_each_encoder_is_an_artifact(versioned, tmp_path):
    artifacts = yaml.safe_load((versioned / "reports/dvc.yaml").read_text())["artifacts"]
    assert set(artifacts) == {"random", "simclr", "rotation"}
    assert artifacts["simclr"]["type"] == "model"
    assert artifacts["simclr"]["labels"] == ["contrastive", "resnet_mini", "digits", "tiny"]
    out = tmp_path / "encoder.safetensors"
    dvc(tmp_path, "get", str(versioned), ENCODER, "-o", str(out))
    git(versioned, "tag", "-am", "first", "reports=simclr@v1.0.0")
    dvc(
        tmp_path, "artifacts", "get", str(versioned), "reports:simclr", "-o", str(tmp_path / "same")
    )
    assert (
        out.read_bytes() == (tmp_path / "same").read_bytes() == (versioned / ENCODER).read_bytes()
    )


def test_the_artifacts_are_the_encoders_of_the_study_that_is_built(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path, STUDY | {"budget": "quick", "methods": ["simclr"]}))
    workflow = Path("params/workflow.yaml")
    for encoder, variant, kind in (
        ("null", "base", "resnet_mini"),  # at the study's own budget
        ("vit_mini", "encoder=vit_mini", "vit"),
    ):
        replace(workflow, "encoder: null", f"encoder: {encoder}")
        folder = Path(f"data/runs/quick/digits/simclr/{variant}/0")
        folder.mkdir(parents=True)
        (folder / "encoder.safetensors").touch()
        (folder / "params.yaml").write_text(f"encoder: {{_target_: unlabel.encoder.{kind}.Any}}\n")
        artifacts_of_dvc.write()
        artifacts = yaml.safe_load(Path("reports/dvc.yaml").read_text())["artifacts"]
        assert {each["path"] for each in artifacts.values()} == {f"../{folder}/encoder.safetensors"}
        assert artifacts["simclr"]["labels"] == ["contrastive", kind, "digits", "quick"]


def test_artifacts_whose_arms_have_one_name_are_told_apart(tmp_path, monkeypatch):
    arms = {"0.1": ["method.temperature=0.1"], "0-1": [], "+0.1": ["method.temperature=0.3"]}
    monkeypatch.chdir(project(tmp_path, STUDY | {"methods": ["simclr"], "arms": arms}))
    for variant in ("base", "method.temperature=0.1", "method.temperature=0.3"):
        folder = Path(f"data/runs/tiny/digits/simclr/{variant}/0")
        folder.mkdir(parents=True)
        (folder / "encoder.safetensors").touch()
        (folder / "params.yaml").write_text("encoder: {_target_: unlabel.encoder.vit.ViT}\n")
    artifacts_of_dvc.write()
    artifacts = yaml.safe_load(Path("reports/dvc.yaml").read_text())["artifacts"]
    found = {name: each["path"].split("/")[6] for name, each in artifacts.items()}
    assert found == {
        "simclr-0-1": "method.temperature=0.3",  # the arms are sorted in the file
        "simclr-0-1-2": "base",
        "simclr-0-1-3": "method.temperature=0.1",
    }


@pytest.mark.parametrize("link", ["hardlink", "symlink"])  # copies are tested besides
def test_with_links_all_is_current_and_what_is_made_again_leaves_the_cache_alone(
    versioned, tmp_path, link
):
    folder = clone(versioned, tmp_path / "clone", link)
    encoder = folder / ENCODER
    assert encoder.is_symlink() if link == "symlink" else encoder.stat().st_nlink > 1
    assert "Nothing to be done" in snakemake(folder, "-n")
    cached, before = contents(folder / ".dvc/cache/files"), (folder / KNN).read_bytes()
    replace(folder / "params/probe/knn.yaml", "k: 20", "k: 10")
    said = run(folder, *UNPRIVILEGED, sys.executable, "-m", "snakemake", "--cores", "2", KNN)
    assert "1 of 1 · probe" in said
    assert (folder / KNN).read_bytes() != before
    assert not (folder / KNN).is_symlink()
    assert contents(folder / ".dvc/cache/files") == cached


# Root may write what is write-protected, and would not meet what Snakemake says of it.
UNPRIVILEGED = (
    ["setpriv", "--bounding-set=-dac_override"]
    if os.geteuid() == 0 and shutil.which("setpriv")
    else []
)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_experiments_are_run_compared_and_kept(pulled):
    said = dvc(pulled, "exp", "run", "--name", "warm", "-S", f"{TEMPERATURE}=0.5")
    assert "Ran experiment(s): warm" in said
    assert "pretrain_rotation" not in said
    difference = dvc(pulled, "params", "diff")
    assert "method.temperature" in difference
    assert difference.count("params/") == 1
    difference = dvc(pulled, "metrics", "diff")
    assert METRICS in difference
    assert "rotation" not in difference
    dvc(pulled, "plots", "diff", "HEAD", "-o", "page")
    assert (pulled / "page/index.html").exists()
    shutil.rmtree(pulled / "page")

    git(pulled, "stash")
    dvc(pulled, "checkout")
    dvc(pulled, "exp", "run", "--queue", "--name", "swept", "-S", f"{TEMPERATURE}=0.1,1.0")
    dvc(pulled, "exp", "run", "--run-all")
    table = dvc(pulled, "exp", "show", "--only-changed", "--csv")
    rows = [line for line in table.splitlines() if line.startswith(("warm", "swept"))]
    assert sorted(row.split(",")[0] for row in rows) == ["swept-1", "swept-2", "warm"]
    assert git(pulled, "status", "--porcelain") == ""
    dvc(pulled, "exp", "apply", "swept-2")
    assert "temperature: 1.0" in (pulled / "params/method/simclr.yaml").read_text()
    assert "Nothing to be done" in snakemake(pulled, "-n")


def test_what_was_made_outside_dvc_becomes_a_version_and_versions_are_switched(pulled, tmp_path):
    first = git(pulled, "rev-parse", "HEAD").strip()
    replace(pulled / "params/probe/knn.yaml", "k: 20", "k: 10")
    snakemake(pulled, "--cores", "2")
    unlabel(pulled, "version", "--name", "cluster")
    assert "cluster" in dvc(pulled, "exp", "list")
    assert "didn't change" in dvc(pulled, "repro")
    commit(pulled, "made on a cluster")
    dvc(pulled, "push")
    made = digests(pulled)

    for revision, same in ((first, False), ("main", True)):
        git(pulled, "checkout", "-q", revision)
        dvc(pulled, "checkout")
        assert "Nothing to be done" in snakemake(pulled, "-n")
        assert (digests(pulled) == made) == same

    again = clone(pulled, tmp_path / "again")
    assert "Nothing to be done" in snakemake(again, "-n")
    assert digests(again) == made


def test_a_version_of_what_is_not_whole_is_refused(pulled):
    (pulled / "reports/index.html").unlink()
    said = unlabel(pulled, "version", fails=True)
    assert said.splitlines()[-1].startswith("error: dvc commit --force failed: ")
    assert "index.html" in said
    assert said.endswith("make it with snakemake first\n")
    assert "Traceback" not in said
