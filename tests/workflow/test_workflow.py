"""The real workflow: complete, idle when nothing changed, and the same bits after any kill."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml

from support.browser import CHROMIUM
from support.pages import Page, browse, dead
from support.project import (
    LONGER,
    STAND_IN,
    STUDY,
    command,
    digests,
    forked,
    planned,
    project,
    snakemake,
)
from support.working import within


def test_everything_is_built_and_nothing_is_left_to_do(made, copy):
    assert "Nothing to be done" in snakemake(copy, "-n")
    run = made / "data/runs/tiny/digits/simclr/base/0"
    assert {path.name for path in run.iterdir()} == {
        "encoder.safetensors", "features.parquet", "log.parquet", "method.safetensors", "metrics",
        "params.yaml", "pictures.parquet", "run.json", "views.parquet",
    }  # fmt: skip
    results = pd.read_parquet(made / "reports/results.parquet")
    assert set(results.method) == {"random", "simclr", "rotation"}
    assert {"knn", "linear", "lowshot_1", "finetune_10", "effective_rank"} <= set(results.metric)
    assert json.loads((made / "reports/metrics/digits/simclr.json").read_text())
    assert "<html" in (made / "reports/index.html").read_text()


def test_a_log_says_how_far_a_training_is(made):
    log = next((made / "logs/pretrain/simclr").iterdir()).read_text()
    assert re.search(r"100% · [\d,]+ images/s · 0 s left · loss", log)


@pytest.mark.parametrize(
    ("file", "change", "reruns"),
    [
        ("params/method/simclr.yaml", ("# Differs", "# A comment\n# Differs"), {}),
        (
            "params/method/simclr.yaml",
            ("temperature: 0.2", "temperature: 0.3"),
            {
                "pretrain_simclr": 1,
                "features": 1,
                "probe": 1,
                "finetune": 1,
                "report": 1,
                "method": 1,
            },
        ),
        ("params/probe/knn.yaml", ("k: 20", "k: 10"), {"probe": 3, "report": 1, "method": 3}),
        (
            "ssl/unlabel/method/rotation.py",
            ("x.repeat(4, 1, 1, 1)", "x.repeat(4, 1, 1, 1).clone()"),
            {
                "pretrain_rotation": 1,
                "features": 1,
                "probe": 1,
                "finetune": 1,
                "report": 1,
                "method": 1,
            },
        ),
        ("ssl/unlabel/method/rotation.py", ("# equations", "# the equations"), {}),
        (
            "ssl/unlabel/nn/losses.py",
            ("def info_nce", "def unused():\n    pass\n\n\ndef info_nce"),
            {},
        ),
        ("params/study/test.yaml", ("title: Test", "title: Tested"), {"report": 1, "method": 3}),
        ("params/encoder/resnet18.yaml", ("depth: 18", "depth: 50"), {}),
    ],
)
def test_a_change_reruns_just_what_depends_on_it(copy, file, change, reruns):
    text = (copy / file).read_text()
    assert change[0] in text
    (copy / file).write_text(text.replace(*change))
    jobs = planned(copy)
    jobs.pop("all", None)
    assert jobs == reruns


def test_a_tampered_output_is_made_again(copy):
    encoder = copy / "data/runs/tiny/digits/simclr/base/0/encoder.safetensors"
    encoder.unlink()
    assert planned(copy)["pretrain_simclr"] == 1


def test_a_run_can_be_asked_for_by_its_path(copy, made):
    path = "data/runs/tiny/digits/simclr/method.temperature=0.5/1"
    snakemake(copy, "--cores", "2", f"{path}/metrics/knn.json")
    params = yaml.safe_load((copy / path / "params.yaml").read_text())
    assert params["method"]["temperature"] == 0.5
    assert params["seed"] == 1
    before = made / "data/runs/tiny/digits/simclr/base/0/encoder.safetensors"
    assert before.read_bytes() != (copy / path / "encoder.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "study=tset"], "error: unknown study 'tset': did you mean 'test'?"),
        (["--config", "budget=tinny"], "error: unknown budget 'tinny': did you mean 'tiny'?"),
        (
            ["data/runs/tiny/digits/simclr/method.temp=1/0/run.json"],
            "overrides method.temp, but simclr on digits at budget tiny has no such setting",
        ),
        (["data/runs/tiny/digits/simclr/base"], "is not a run: write BUDGET/DATASET/METHOD"),
    ],
)
def test_a_mistake_is_one_sentence_and_loses_nothing(copy, arguments, said):
    before = digests(copy)
    printed = snakemake(copy, "--cores", "1", *arguments, fails=True)
    assert said in printed
    assert "Traceback" not in printed
    assert digests(copy) == before


COMPARED = STUDY | {
    "statement": "SimCLR beats an untrained encoder.",
    "methods": ["simclr"],
    "references": ["random"],
    "seeds": [0, 1, 2],
    "claims": [{"says": "It does", "higher": "simclr", "than": "random"}],
}


def test_runs_that_studies_share_are_planned_once_and_forecast(tmp_path):
    folder = project(tmp_path, COMPARED)
    for path in (folder / "params/study").glob("*.yaml"):
        if path.stem != "test":
            path.unlink()
    other = COMPARED | {"title": "Other", "methods": ["simclr", "rotation"]}
    (folder / "params/study/other.yaml").write_text(yaml.safe_dump(other))
    printed = snakemake(folder, "-n", "--quiet", "rules", "--cores", "2", "reports/statements.html")
    assert "9 runs, 9 of them to be trained" in printed
    jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)}
    assert jobs["pretrain_simclr"] == jobs["pretrain_random"] == jobs["pretrain_rotation"] == 3
    assert jobs["study"] == 2
    assert jobs["statements"] == 1
    assert "finetune" not in jobs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": [0]}, "study.broken has claims, but one seed"),
        ({"arms": {"base": ["method.temperatur=1"]}}, "did you mean 'method.temperature'"),
        ({"datasets": []}, "has nothing to run"),
        ({"metric": "linaer"}, "the metric 'linaer', which no run has; did you mean 'linear'"),
        ({"claims": [{"says": "so", "higher": "byol", "than": "random"}]}, "about 'byol', which"),
    ],
)
def test_a_broken_study_is_one_sentence_and_trains_nothing(tmp_path, change, said):
    folder = project(tmp_path, COMPARED)
    broken = folder / "params/study/broken.yaml"
    broken.write_text(yaml.safe_dump(COMPARED | {"methods": ["simclr"]} | change))
    printed = snakemake(folder, "--cores", "2", "reports/study/broken.html", fails=True)
    assert said in printed
    assert "Traceback" not in printed
    assert not (folder / "data").exists()


def test_a_study_of_runs_that_are_there_only_looks_at_them(copy):
    ask = {key: value for key, value in STUDY.items() if key != "methods"}
    study = copy / "params/study/mine.yaml"
    study.write_text(yaml.safe_dump(ask | {"title": "Mine", "methods": ["simclr", "rotation"]}))
    target = "reports/study/mine.html"
    printed = snakemake(copy, "-n", target, "--quiet", "rules")
    assert dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)) == {
        "study": "1",
        "total": "1",
    }
    assert "2 runs, none of them to be trained" in printed
    snakemake(copy, "--cores", "1", target)
    assert dead(copy / target) == []
    assert "Nothing to be done" in snakemake(copy, "-n", target)


def test_every_page_is_there_and_leads_somewhere(made):
    for page in ("index", "method/simclr", "method/rotation", "method/random"):
        assert dead(made / f"reports/{page}.html") == []
    page = Page((made / "reports/method/simclr.html").read_text())
    headings = [each["text"] for each in page.all("h3")]
    assert headings == ["Nearest neighbours", "Confusion matrix", "Training"]
    charts = [each["text"] for each in page.all("figcaption")]
    assert "Invariance to each augmentation" in charts
    assert "Positive and negative pairs, untrained" in charts
    assert len([each for each in page.all("img") if each.get("class") == "query"]) == 10


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_methods_page_in_a_browser(made):
    page = browse(made / "reports/method/simclr.html")
    drawn = [each for each in page.all("svg") if "marks" in each.get("class", "")]
    charts = [each for each in page.all("figure") if each.get("class") == "chart"]
    assert len(drawn) == len(charts) >= 9


def test_snakemakes_own_report_has_captions_and_categories(copy):
    snakemake(copy, "--report", "report.html")
    report = (copy / "report.html").read_text()
    for word in ("Leaderboard", "Methods", "All methods of the study under the same conditions"):
        assert word in report


def jobs(folder: Path) -> dict[str, list[int]]:
    """The processes of each stage of this project that runs."""
    found: dict[str, list[int]] = {}
    for number in within(folder):
        try:
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:3] == [b"-m", b"unlabel"]:
            found.setdefault(words[3].decode(), []).append(number)
    return found


# Who is killed when a stage runs: its job, or Snakemake, with which its jobs end.
VICTIMS = {
    "prepare": ["snakemake"],
    "pretrain": ["job", "snakemake"],
    "features": ["job"],
    "probe": ["snakemake"],
    "finetune": ["job"],
    "method": ["snakemake"],
    "report": ["job"],
}


# What each stage makes, to have it run again.
MADE = {
    "prepare": "data/prepared/*/train.arrow",
    "pretrain": "data/runs/*/*/*/*/*/encoder.safetensors",
    "features": "data/runs/*/*/*/*/*/features.parquet",
    "probe": "data/runs/*/*/*/*/*/metrics/knn.json",
    "finetune": "data/runs/*/*/*/*/*/metrics/finetune.json",
    "method": "reports/method/*.html",
    "report": "reports/index.html",
}


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to find the processes to kill")
def test_killed_in_each_stage_it_ends_with_the_same_bits(longer, tmp_path):
    killed = project(tmp_path / "killed", LONGER)
    todo, logs = {stage: list(victims) for stage, victims in VICTIMS.items()}, ""
    while any(todo.values()):
        running, began = start(killed), time.time()
        now: dict[str, list[int]] = {}
        while not now and running.poll() is None:
            now = {stage: found for stage, found in jobs(killed).items() if todo[stage]}
            new = [each for each in saves(killed) if each > began]
            if len(new) < len(now.get("pretrain", [])):
                now = {}  # not before each training has a state to go on from
            time.sleep(0.02)
        if running.poll() is not None:  # it ended between two looks at what runs
            for stage in (stage for stage, victims in todo.items() if victims):
                for made in killed.glob(MADE[stage]):
                    made.unlink()
            continue
        logs += "".join(path.read_text() for path in killed.glob("logs/pretrain/*/*"))
        stage, (job, *_) = now.popitem()
        if todo[stage].pop(0) == "job":
            kill(job)
        else:
            running.kill()
        running.wait()
    snakemake(killed, "--cores", "2")
    assert digests(killed) == digests(longer)
    assert "going on after step" in logs
    assert [path.name for path in killed.glob("data/runs/**/.*.part*")] == []


def saves(folder: Path) -> list[float]:
    """When the states of trainings were saved."""
    found = []
    for path in folder.glob("data/runs/*/*/*/*/*/state.*/state.safetensors"):
        with suppress(FileNotFoundError):
            found.append(path.stat().st_mtime)
    return found


def start(folder: Path) -> subprocess.Popen:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command("--cores", "2"), cwd=folder, env=forked(**STAND_IN), **quiet)


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
