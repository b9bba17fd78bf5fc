"""DVC and Snakemake together: what is pulled is known to be current."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT, environment, planned, snakemake

METRICS = "reports/metrics.json"


def run(folder: Path, *words: str) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc(folder: Path, *words: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *words)


def git(folder: Path, *words: str) -> str:
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return run(folder, "git", *author, *words)


def provenance(folder: Path, what: str) -> str:
    return run(folder, sys.executable, "-m", "unlabel.provenance", what)


@pytest.fixture(scope="module")
def versioned(made, tmp_path_factory):
    """The built project as a git repository whose results DVC has in a remote."""
    folder = tmp_path_factory.mktemp("versioned") / "project"
    shutil.copytree(made, folder)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    git(folder, "init", "-q")
    remote = tmp_path_factory.mktemp("remote")
    dvc(folder, "remote", "add", "-d", "local", str(remote))
    dvc(folder, "repro")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    dvc(folder, "push")
    return folder


def test_repro_runs_the_stage_and_records_all_that_it_makes(versioned):
    records = json.loads((versioned / "provenance.json").read_text())
    assert "data/runs/tiny/digits/simclr/base/0/encoder.safetensors" in records
    assert METRICS in records
    assert "didn't change" in dvc(versioned, "repro")
    assert "simclr" in dvc(versioned, "metrics", "show")
    tracked = git(versioned, "ls-files").split()
    assert METRICS in tracked
    assert "provenance.json" in tracked
    assert "dvc.lock" in tracked
    assert not any(path.endswith(".safetensors") for path in tracked)


def test_plots_are_drawn(versioned):
    said = dvc(versioned, "plots", "show", "-o", "page")
    assert (versioned / "page/index.html").exists(), said
    shutil.rmtree(versioned / "page")


@pytest.fixture
def pulled(versioned, tmp_path):
    """A fresh clone with what DVC has."""
    git(versioned, "clone", "-q", str(versioned), str(tmp_path / "clone"))
    dvc(tmp_path / "clone", "pull")
    return tmp_path / "clone"


def test_what_is_pulled_is_known_to_be_current(pulled):
    provenance(pulled, "restore")
    assert "Nothing to be done" in snakemake(pulled, "-n")


def test_after_a_pull_a_changed_value_reruns_just_its_jobs(pulled):
    provenance(pulled, "restore")
    probe = pulled / "params/probe/knn.yaml"
    probe.write_text(probe.read_text().replace("k: 20", "k: 10"))
    assert planned(pulled) == {"probe": 3, "report": 1, "method": 3, "all": 1}


def test_a_file_that_is_not_the_recorded_one_is_made_again(pulled):
    encoder = pulled / "data/runs/tiny/digits/simclr/base/0/encoder.safetensors"
    content = bytearray(encoder.read_bytes())
    content[-1] ^= 1
    encoder.unlink()
    encoder.write_bytes(content)
    provenance(pulled, "restore")
    assert planned(pulled)["pretrain_simclr"] == 1


def test_a_damaged_record_is_explained(pulled):
    (pulled / "provenance.json").write_text("{")
    words = [sys.executable, "-m", "unlabel.provenance", "restore"]
    done = subprocess.run(words, cwd=pulled, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == ("error: provenance.json is damaged; restore it with git, or delete it\n")


def test_two_versions_are_compared(pulled):
    recipe = pulled / "params/method/simclr.yaml"
    recipe.write_text(recipe.read_text().replace("temperature: 0.2", "temperature: 0.5"))
    dvc(pulled, "repro")
    difference = dvc(pulled, "metrics", "diff")
    assert "simclr" in difference
    assert "rotation" not in difference
