"""What the report writes beside its page: every number, and those that people compare."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.runs import METHODS, SEEDS, Study, compared, write_json
from unlabel.analysis.estimate import estimate
from unlabel.command import leaderboard
from unlabel.errors import UserError


def test_results_are_tidy(made: Study):
    table = pd.read_parquet(made.out / "results.parquet")
    names = ["budget", "dataset", "method", "variant", "seed", "probe", "metric", "value"]
    assert list(table) == names
    assert table.sort_values(names, ignore_index=True).equals(table)
    assert len(table) == 15 * 13
    chosen = table[(table.method == "simclr") & (table.metric == "linear")]
    path = made.run("simclr", 1) / "metrics/linear.json"
    assert chosen.value.tolist()[1] == json.loads(path.read_text())["linear"]
    assert set(chosen.probe) == {"linear"}


def test_metrics_are_means_of_six_digits(made: Study):
    found = compared(made, "simclr")
    values = [
        json.loads((made.run("simclr", seed) / "metrics/linear.json").read_text())["linear"]
        for seed in SEEDS
    ]
    assert found["linear"] == float(f"{sum(values) / 3:.6g}")
    assert found["linear_interval"] == pytest.approx(estimate(values).interval, rel=1e-5)
    there = (made.out / "metrics/fashion_mnist").iterdir()
    assert {path.stem for path in there} == set(METHODS)


def test_metrics_are_those_that_people_compare(made: Study):
    names = {"linear", "knn", "lowshot_1", "lowshot_10", "finetune_1", "finetune_10"}
    names |= {"finetune_100", "effective_rank"}
    assert set(compared(made, "simclr")) == names | {f"{name}_interval" for name in names}


def test_metrics_of_an_arm_that_is_no_longer_planned_go(study: Study):
    study.report()
    assert compared(study, "rotation")
    study.brief["runs"] = [each for each in study.brief["runs"] if each["method"] != "rotation"]
    study.report()
    assert not (study.out / "metrics/fashion_mnist/rotation.json").exists()
    assert compared(study, "simclr")


def test_pages_of_methods_that_the_study_no_longer_has_go(study: Study):
    pages = [study.out / f"method/{name}.html" for name in ("simclr", "gone")]
    for page in pages:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("<html></html>")
    study.report()
    assert [page.exists() for page in pages] == [True, False]


def test_order_of_runs_changes_no_byte(made: Study, study: Study):
    random.Random(0).shuffle(study.brief["runs"])
    study.report()
    for name in (
        "metrics/fashion_mnist/simclr.json",
        "plots/leaderboard.csv",
        "plots/training.csv",
        "results.parquet",
    ):
        assert (study.out / name).read_bytes() == (made.out / name).read_bytes(), name


def test_plots_are_comma_separated(made: Study):
    board = pd.read_csv(made.out / "plots/leaderboard.csv")
    assert board.method.tolist() == sorted(METHODS)
    assert {"linear", "linear_interval", "effective_rank"} <= set(board)
    training = pd.read_csv(made.out / "plots/training.csv")
    assert {"method", "seed", "epoch", "loss", "deviation", "effective_rank"} <= set(training)
    assert set(training.method) == set(METHODS)


def test_numbers_of_a_probe_that_is_no_longer_planned_are_not_read(study: Study):
    before = study.report(), compared(study, "simclr")
    for seed in SEEDS:  # a name of its own, and one that another probe has too
        write_json(study.run("simclr", seed) / "metrics/old.json", {"roundness": 1, "linear": 0})
    assert (study.report(), compared(study, "simclr")) == before


def test_unknown_headline_metric(study: Study):
    study.brief["metric"] = "linaer"
    with pytest.raises(UserError, match="no run has the metric 'linaer'; did you mean 'linear'"):
        study.report()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"linear": NaN}', "linear in .*linear.json is nan, but must be a finite number"),
        ('{"linear": "high"}', "linear in .*linear.json is 'high', but must be a finite number"),
        ('{"linear": true}', "linear in .*linear.json is True, but must be a finite number"),
        ('{"linear": 0.8', "linear.json is not valid JSON"),
        ("[0.8]", "linear.json does not hold a JSON object"),
        ('{"knn": 0.8}', "knn.json and .*linear.json both have 'knn'"),
    ],
)
def test_broken_metrics_are_named(study: Study, text: str, problem: str):
    (study.run("simclr") / "metrics/linear.json").write_text(text)
    with pytest.raises(UserError, match=problem):
        study.report()
    assert not study.out.exists()


@pytest.mark.parametrize("name", ["run.json", "log.parquet", "pictures.parquet"])
def test_broken_files_are_named(study: Study, name: str):
    path = study.run("simclr") / name
    path.write_bytes(b"not this")
    with pytest.raises(UserError, match=f"{name} is"):
        study.report()
    path.unlink()
    with pytest.raises(UserError, match=f"cannot read .*{name}.*finish the run first"):
        study.report()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"runs": []}, "names no runs"),
        ({"runs": [{"seed": 0}]}, "runs lacks .*'budget'"),
        ({"runs": ["simclr"]}, "runs holds 'simclr'"),
        ({"methods": ["simclr"]}, "methods must be a mapping"),
    ],
)
def test_broken_brief_is_explained(study: Study, change: dict[str, Any], problem: str):
    study.brief |= change
    with pytest.raises(UserError, match=problem):
        study.report()


def test_leaderboard_in_a_terminal(
    made: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    results, page = made.out / "results.parquet", made.out / "index.html"
    for columns in (120, 80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        leaderboard.run(results, page)
        told = capsys.readouterr().out
        assert all(len(line) <= columns for line in told.splitlines()[:-4])
        order = re.findall(r"^(\w+)(?: \(labels\))? .*±", told, re.MULTILINE)
        assert order[:5] == ["simclr", "rotation", "autoencoder", "supervised", "random"]
        assert told.endswith(f"report: {page.resolve()}\n")


def test_a_terminal_says_how_many_seeds_each_mean_is_of(
    study: Study, capsys: pytest.CaptureFixture[str]
):
    runs = study.brief["runs"]
    study.brief["runs"] = [run for run in runs if run["method"] != "simclr" or not run["seed"]]
    study.report()
    leaderboard.run(study.out / "results.parquet", study.out / "index.html")
    assert "on the test split, mean ± 95 % interval over 1 to 3 seeds\n" in capsys.readouterr().out


def test_a_leaderboard_by_a_validation_metric_says_which_split_is_which(
    study: Study, capsys: pytest.CaptureFixture[str]
):
    study.brief["metric"] = "validation_linear"
    for run in study.brief["runs"]:
        path = study.run(run["method"], run["seed"]) / "metrics/linear.json"
        metrics = json.loads(path.read_text())
        write_json(path, metrics | {"validation_linear": metrics["linear"] / 2})
    study.report()
    says = "on the test split, and on the validation split where a heading says so"
    assert says in (study.out / "index.html").read_text()
    leaderboard.run(study.out / "results.parquet", study.out / "index.html")
    told = capsys.readouterr().out
    assert f"accuracy (%) {says}, mean" in told
    assert "linear accuracy, validation" in told


def test_leaderboard_needs_a_report(made: Study, tmp_path: Path):
    with pytest.raises(UserError, match="make the report first"):
        leaderboard.run(made.out / "results.parquet", tmp_path / "index.html")
    with pytest.raises(UserError, match="make the report first"):
        leaderboard.run(tmp_path / "results.parquet", made.out / "index.html")
    (tmp_path / "results.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is damaged"):
        leaderboard.run(tmp_path / "results.parquet", made.out / "index.html")
    with pytest.raises(UserError, match="does not hold the results of a report"):
        leaderboard.run(made.run("simclr") / "log.parquet", made.out / "index.html")
