"""`unlabel runs`: what each run on disk is, and the removal of those that no study needs."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace as replace_run

import pytest
import yaml

from support.models import PARAMS
from support.project import STUDY, environment
from support.versions import dvc, replace
from unlabel import weights
from unlabel.cli import main
from unlabel.run import Run
from unlabel.workflow import leftovers, run_states
from unlabel.workflow.engine import records
from unlabel.workflow.plan import Plan

SIMCLR = "data/runs/tiny/digits/simclr/base/0"
ROTATION = "data/runs/tiny/digits/rotation/base/0"


@pytest.fixture
def listed(copy, monkeypatch, capsys):
    """The built project, and a function that gives the state of each run as it is printed."""
    monkeypatch.chdir(copy)

    def states(*words: str) -> dict[str, str]:
        main(["runs", *words])
        lines = capsys.readouterr().out.splitlines()
        rows = [line.split() for line in lines if line.startswith("tiny")]
        return {"/".join(row[:5]): " ".join(row[5:]) for row in rows}

    return states


def test_finished_runs_are_done_and_have_a_size(listed, copy):
    (copy / "params/method/.#simclr.yaml").symlink_to("an open editor's, which is no file")
    found = listed()
    assert found.keys() == {f"tiny/digits/{name}/base/0" for name in STUDY["methods"]}
    files = [path for path in (copy / SIMCLR).rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    assert found["tiny/digits/simclr/base/0"] == f"done {size / 1e6:.0f} MB"


def test_another_setting_makes_a_run_stale_and_is_named(listed, copy):
    replace(copy / "params/method/simclr.yaml", "temperature: 0.2", "temperature: 0.3")
    found = listed()
    said = "stale settings.method.temperature is 0.2 there and 0.3 here"
    assert found["tiny/digits/simclr/base/0"].startswith(said)
    assert found["tiny/digits/rotation/base/0"].startswith("done")


def test_other_code_makes_a_run_stale(listed, copy):
    about = copy / SIMCLR / "run.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"code": "other"}))
    assert listed()["tiny/digits/simclr/base/0"].startswith("stale code is 'other' there and")


def test_other_images_make_a_run_stale(listed, copy):
    about = copy / SIMCLR / "run.json"
    content = json.loads(about.read_text())
    assert content["prepared"].keys() == {"train", "validation"}
    content["prepared"]["train"] = "other"
    about.write_text(json.dumps(content))
    found = listed()
    said = "stale digits was prepared again and has other images"
    assert found["tiny/digits/simclr/base/0"].startswith(said)
    assert found["tiny/digits/rotation/base/0"].startswith("done")


@pytest.mark.parametrize("text", ["", "[]", '{"prepared": 1}'])
def test_a_damaged_run_is_stale(listed, copy, text):
    (copy / SIMCLR / "run.json").write_text(text)
    said = "stale run.json or params.yaml is damaged"
    assert listed()["tiny/digits/simclr/base/0"].startswith(said)


def test_a_training_state_makes_a_run_resumable_if_it_is_of_its_settings(listed, copy):
    plan = Plan(copy / "params")
    plan.add(Run("tiny", "digits", "simclr", "base", 0))
    state = copy / plan.state()(dict(zip(NAMES, SIMCLR.split("/")[2:], strict=True)))
    (copy / SIMCLR / "run.json").unlink()
    assert listed()["tiny/digits/simclr/base/0"].startswith("unfinished")
    state.mkdir()
    (state / "state.safetensors").touch()
    assert listed()["tiny/digits/simclr/base/0"].startswith("resumable")
    state.rename(state.with_name("state.other"))
    said = "stale its training state has other settings"
    assert listed()["tiny/digits/simclr/base/0"].startswith(said)


def test_a_training_state_of_other_images_is_stale(listed, copy):
    name, plan = "tiny/digits/simclr/base/0", Plan(copy / "params")
    plan.add(Run("tiny", "digits", "simclr", "base", 0))
    state = copy / plan.state()(dict(zip(NAMES, SIMCLR.split("/")[2:], strict=True)))
    state.mkdir()
    about = json.loads((copy / SIMCLR / "run.json").read_text())
    (copy / SIMCLR / "run.json").unlink()
    other = about | {"prepared": about["prepared"] | {"train": "other"}}
    said = "stale its training stopped; digits was prepared again and has other images"
    for content, found in ((about, "resumable"), (other, said)):
        weights.write(state / "state.safetensors", {}, {"identity": content})
        assert listed()[name].startswith(found)
    aside = copy / SIMCLR / "finished/run.json"  # of a training that ended unseen
    aside.parent.mkdir()
    for content, found in ((about, "resumable"), (other, said)):
        aside.write_text(json.dumps(content))
        assert listed()[name].startswith(found)


NAMES = ("budget", "dataset", "method", "variant", "seed")


def test_a_run_that_a_process_works_on_is_running(listed, copy):
    (copy / SIMCLR / "state.x").mkdir()
    with (copy / SIMCLR / "state.x/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert listed()["tiny/digits/simclr/base/0"].startswith("running")
    assert listed()["tiny/digits/simclr/base/0"].startswith("done")

    mark = records.place(records.UNFINISHED, f"{ROTATION}/features.parquet")
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    with leftovers.ALIVE.open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_SH)
        assert listed()["tiny/digits/rotation/base/0"].startswith("running")
    assert listed()["tiny/digits/rotation/base/0"].startswith("done")


def test_a_run_is_orphaned_if_no_study_has_it_at_any_budget_on_any_dataset(listed, copy):
    folders = ["tiny/digits/simclr/method.temperature=0.07/0", "huge/digits/simclr/base/0"]
    folders += ["tiny/digits/simclr/encoder.width=8/0", "tiny/digits/simclr/no variant/0"]
    folders += ["tiny/digits/simclr/encoder=vit_mini+method.temperature=0.07/0"]
    kept = ["quick/digits/simclr/base/0", "tiny/shapes/simclr/base/0"]
    kept += ["tiny/gone/simclr/base/0"]  # a name of own images, whose prepared set was removed
    kept += ["tiny/digits/simclr/encoder=vit_mini/0"]  # as `--config encoder=vit_mini` makes it
    kept += ["tiny/digits/simclr/encoder.width=8+encoder=resnet_mini/0"]
    for folder in [*folders, *kept, "tiny/digits/simclr/base/notes"]:
        shutil.copytree(copy / SIMCLR, copy / "data/runs" / folder)
    main_states = {each.run.folder: each.state for each in look(copy)}
    reasons = {each.run.folder: each.why for each in look(copy)}
    gone = "there is neither a recipe nor a prepared set of gone"
    assert reasons["tiny/gone/simclr/base/0"] == gone
    assert {main_states[folder] for folder in folders} == {"orphaned"}
    assert {main_states[folder] for folder in kept} == {"stale"}
    assert "tiny/digits/simclr/base/notes" not in main_states


def test_a_run_is_needed_with_an_encoder_beside_the_settings_of_a_studys_arm(copy):
    study = STUDY | {"arms": {"cold": ["method.temperature=0.1"], "flat": ["encoder=vit_mini"]}}
    (copy / "params/study/test.yaml").write_text(yaml.safe_dump(study | {"methods": ["simclr"]}))
    wanted = run_states.Wanted.of(copy / "params")
    cold = Run("quick", "mine", "simclr", "encoder=resnet18+method.temperature=0.1", 0)
    assert cold in wanted
    assert replace_run(cold, variant="encoder=resnet18+method.temperature=0.3") not in wanted
    assert replace_run(cold, budget="gone") not in wanted


def test_a_run_that_a_recipe_starts_from_is_needed(listed, copy):
    teacher = "tiny/digits/simclr/method.temperature=0.07/3"
    shutil.copytree(copy / SIMCLR, copy / "data/runs" / teacher)
    assert listed()[teacher].startswith("orphaned")
    mine = (copy / "params/encoder/resnet_mini.yaml").read_text()
    weights = f"weights: data/runs/{teacher}/encoder.safetensors"
    (copy / "params/encoder/mine.yaml").write_text(f"{mine}{weights}\n")
    assert listed()[teacher].startswith("stale")


def test_another_folder_of_settings_is_no_reason_to_remove_runs(copy, monkeypatch):
    monkeypatch.chdir(copy)
    for params in ("parms", "params/budget"):
        with pytest.raises(SystemExit) as stopped:
            main(["runs", "--params", params, "--prune", "--yes", "--unversioned"])
        said = f"error: {params}/study has no study; name the folder of all settings with --params"
        assert stopped.value.code == said
    assert (copy / SIMCLR / "encoder.safetensors").exists()


def test_where_the_file_system_has_no_locks_the_holders_signs_of_life_count(
    listed, copy, monkeypatch
):
    def flock(file: object, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    state = copy / SIMCLR / "state.x/lock"
    state.parent.mkdir()
    state.write_text(" elsewhere")
    assert listed()["tiny/digits/simclr/base/0"].startswith("running")
    orphan(copy, "simclr")
    removed = ("--prune", "--yes", "--unversioned")
    assert listed(*removed)["tiny/digits/simclr/base/0"].startswith("running")
    os.utime(state, (0, 0))
    mark = records.place(records.UNFINISHED, f"{SIMCLR}/features.parquet")
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    leftovers.ALIVE.touch()  # of a Snakemake that may live
    assert listed(*removed)["tiny/digits/simclr/base/0"].startswith("running")
    mark.unlink()
    assert listed(*removed)["tiny/digits/simclr/base/0"].startswith("orphaned")
    assert not (copy / SIMCLR).exists()


def look(copy):
    return run_states.look(Plan(copy / "params"), copy / "data/runs")


def test_no_runs_are_no_mistake(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["runs", "--params", str(PARAMS), "--prune"])
    assert capsys.readouterr().out == "no runs below data/runs\nnothing to remove\n"


def test_a_broken_study_is_named_and_nothing_is_removed(copy, monkeypatch, capsys):
    monkeypatch.chdir(copy)
    (copy / "params/study/test.yaml").write_text("title: [")
    with pytest.raises(SystemExit) as stopped:
        main(["runs", "--prune", "--yes", "--unversioned"])
    assert "test.yaml is not valid YAML" in str(stopped.value.code)
    assert (copy / SIMCLR / "encoder.safetensors").exists()


def test_the_states_are_explained_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["runs", "--help"])
    said = capsys.readouterr().out
    for state in ("done", "stale", "resumable", "unfinished", "orphaned", "running"):
        assert f"{state}:" in said


def orphan(folder, *methods: str) -> None:
    """Take methods out of the studies."""
    for path in (folder / "params/study").glob("*.yaml"):
        if path.stem != "test":
            path.unlink()
    kept = [method for method in STUDY["methods"] if method not in methods]
    (folder / "params/study/test.yaml").write_text(yaml.safe_dump(STUDY | {"methods": kept}))


@pytest.fixture
def prune(monkeypatch, capsys):
    """A function that removes what no study needs, and gives what is said of it."""

    def said(folder, *words: str) -> str:
        monkeypatch.chdir(folder)
        main(["runs", "--prune", *words])
        return capsys.readouterr().out

    return said


def test_what_no_study_needs_is_removed_after_it_was_said_and_agreed(pulled, prune):
    orphan(pulled, "simclr")
    with pytest.raises(SystemExit) as stopped:
        prune(pulled)
    assert str(stopped.value.code).startswith(
        "error: cannot ask, as this is not a terminal; add --yes"
    )
    assert (pulled / SIMCLR / "encoder.safetensors").exists()

    assert at_a_terminal(pulled, "n\n").endswith("nothing was removed")
    assert (pulled / SIMCLR / "encoder.safetensors").exists()
    assert f"  {SIMCLR}" in at_a_terminal(pulled, "y\n")
    assert not (pulled / SIMCLR).parents[1].exists()
    assert (pulled / ROTATION / "encoder.safetensors").exists()
    dvc(pulled, "checkout")  # nothing is lost
    assert (pulled / SIMCLR / "encoder.safetensors").exists()


def at_a_terminal(folder, answer: str) -> str:
    """What `unlabel runs --prune` prints there."""
    command = f"{sys.executable} -m unlabel runs --prune"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        cwd=folder, env=environment(), input=answer, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "remove? [y/N]" in done.stdout, done.stdout
    return done.stdout.strip()


def test_what_dvc_could_not_bring_back_is_kept_unless_one_insists(pulled, prune):
    orphan(pulled, "simclr", "rotation")
    (pulled / SIMCLR / "metrics/knn.json").write_text("{}")
    said = prune(pulled, "--yes")
    assert f"kept: {SIMCLR}, because DVC has no version of metrics/knn.json" in said
    assert (pulled / SIMCLR / "encoder.safetensors").exists()
    assert not (pulled / ROTATION).exists()
    (pulled / SIMCLR / "state.x").mkdir()
    with (pulled / SIMCLR / "state.x/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune(pulled, "--yes", "--unversioned")
        assert (pulled / SIMCLR / "encoder.safetensors").exists()
    prune(pulled, "--yes", "--unversioned")
    assert not (pulled / SIMCLR).exists()


def test_what_only_the_workspace_has_or_the_cache_has_lost_is_kept(pulled, prune):
    orphan(pulled, "simclr")
    for stored in (pulled / ".dvc/cache/files/md5").glob("*/*"):
        if stored.read_bytes() == (pulled / SIMCLR / "encoder.safetensors").read_bytes():
            stored.unlink()
    assert f"kept: {SIMCLR}, because DVC has no version of encoder.safetensors" in prune(
        pulled, "--yes"
    )
    assert (pulled / SIMCLR / "encoder.safetensors").exists()


def test_without_dvc_nothing_is_versioned(copy, prune):
    orphan(copy, "simclr")
    said = prune(copy, "--yes")
    assert (
        f"kept: {SIMCLR}, because DVC has no version of encoder.safetensors, features.parquet"
        in said
    )
    assert (copy / SIMCLR / "encoder.safetensors").exists()
