"""The pages of a study and of all statements, on synthetic runs in the real format."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from support.browser import CHROMIUM
from support.made_study import CLAIMS, SEEDS, Study, frozen
from support.pages import Page, browse, dead
from support.runs import LINEAR, write_json
from unlabel.analysis.arms import compare
from unlabel.analysis.frozen_study import read
from unlabel.analysis.judgement import judge
from unlabel.errors import UserError
from unlabel.report import study_chart


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with claims, with its page; a test only looks at it."""
    study = Study(tmp_path_factory.mktemp("study"))
    study.make()
    return study


def test_the_verdict_is_that_of_the_files(made: Study):
    record = json.loads(made.page.with_suffix(".json").read_text())
    simclr = made.values("simclr", 256) - made.values("simclr", 64)
    first = record["claims"][0]
    assert first["effect"] == pytest.approx(simclr.mean(), rel=1e-5)
    low, high = stats.ttest_1samp(simclr, 0).confidence_interval(0.99)
    assert (first["low"], first["high"]) == pytest.approx((low, high), rel=1e-4)
    p = stats.ttest_1samp(simclr, 0.01, alternative="greater").pvalue
    assert first["p_for"] == pytest.approx(p, rel=1e-4)
    gains = [
        made.values(method, 256, "knn") - made.values(method, 64, "knn")
        for method in ("simclr", "rotation")
    ]
    assert record["claims"][1]["effect"] == pytest.approx((gains[0] - gains[1]).mean(), rel=1e-5)
    assert record["p_for"] == max(c["p_for"] for c in record["claims"])
    assert record["p"] == pytest.approx(2 * record["p_for"], rel=1e-4)
    words = [claim["word"] for claim in record["claims"]]
    assert [claim["low"] > claim.get("by", -1) for claim in record["claims"][:2]] == [
        word == "holds" for word in words[:2]
    ]
    assert record["verdict"] == ("holds" if set(words) == {"holds"} else "holds in part")
    assert record["conditions"] == [
        {
            "dataset": "fashion_mnist", "encoder": ["resnet_mini"], "budget": "quick",
            "images": [5000], "epochs": [6], "batch": [64, 256], "seeds": list(SEEDS),
            "seeds_of_arms": [4],
        }
    ]  # fmt: skip
    assert record["made"]["runs"] == 20


def test_the_page_says_it(made: Study):
    page = Page(made.page.read_text())
    record = json.loads(made.page.with_suffix(".json").read_text())
    assert record["verdict"] in page.all("h2")[0]["text"]
    told = next(e for e in page.all("p") if e.get("class") == "conditions")["text"]
    assert "fashion_mnist with resnet_mini at budget quick: 5,000 images, 6 epochs" in told
    assert "4 seeds" in told
    words = [" ".join(each["text"].split()) for each in page.all("td")]
    effect = 100 * record["claims"][0]["effect"]
    assert any(word.startswith(f"+{effect:.1f} ± ") and word.endswith(" points") for word in words)
    assert "> 1.0 points" in words
    assert "within ±4.0 points" in words
    text = "".join(each["text"] for each in page.all("main"))
    assert "72.5 and 59.7 on ImageNet." in text
    assert "snakemake --cores all" in text
    assert "reports/study/batch_size.html" in text
    footers = [" ".join(each["text"].split()) for each in page.all("footer")]
    assert footers == ["BYOL, arXiv:2006.07733, figure 3a", "a talk"]


def test_everything_on_the_page_resolves(made: Study):
    assert dead(made.page) == []
    page = Page(made.page.read_text())
    assert all(each["scope"] for each in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 4
    ids = [each["id"] for each in page.found if "id" in each]
    assert len(set(ids)) == len(ids)
    for element in page.found:
        if "aria-labelledby" in element:
            assert element["aria-labelledby"] in ids
    # each run's settings are one click away
    links = [e["href"] for e in page.all("a") if e["href"].startswith("#settings")]
    assert len(links) == 20
    assert "width: 256" in next(
        e["text"] for e in page.all("details") if e.get("class") == "settings"
    )


def test_the_tables_hold_every_arm_and_measure(made: Study):
    table = pd.read_csv(made.page.with_suffix(".csv"))
    assert list(zip(table.method, table.arm.astype(str), strict=True)) == [
        ("simclr", "64"), ("simclr", "256"), ("rotation", "64"), ("rotation", "256"),
        ("random", "base"),
    ]  # fmt: skip
    assert table.linear[1] == pytest.approx(made.values("simclr", 256).mean(), rel=1e-5)
    assert {"knn_interval", "lowshot_1", "effective_rank"} <= set(table)
    assert not [name for name in table if name.startswith("finetune")]  # of no claim, so not read
    text = made.page.with_suffix(".md").read_text()
    assert "> SimCLR needs large batches; rotation does not." in text
    assert "\nPublished results: 72.5 and 59.7 on ImageNet.\n" in text
    assert "\nRemarks: Few images were seen.\n" in text
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {9, len(rows[-1])}
    assert any(row[0].strip() == "rotation" and row[1].strip() == "256" for row in rows)


def test_the_chart_shows_each_arm(made: Study):
    page = Page(made.page.read_text())
    specs = [json.loads(e["text"]) for e in page.all("script") if "json" in e.get("type", "")]
    assert len(specs) == 3  # the claims, linear and knn
    plots = [each["aria-label"] for each in page.all("div") if each.get("class") == "plot"]
    assert plots[0].startswith("difference in points by claim: 1 SimCLR gains: ")
    specs, plots = specs[1:], plots[1:]
    assert plots[0].startswith("linear accuracy (%) by batch size: simclr, 64: ")
    rows = next(iter(specs[0]["datasets"].values()))
    assert "random" in json.dumps(specs[0])
    assert rows
    shown = [row for data in specs[0]["datasets"].values() for row in data if "mean" in row]
    assert {(row["method"], row["arm"]) for row in shown} == {
        (method, arm) for method in ("simclr", "rotation") for arm in ("64", "256")
    }
    mean = next(r["mean"] for r in shown if (r["method"], r["arm"]) == ("simclr", "256"))
    assert mean == pytest.approx(100 * made.values("simclr", 256).mean())


@pytest.mark.parametrize(
    ("labels", "kind", "log"),
    [
        (["32", "1024", "256"], "scale", True),
        (["0.1", "0.2", "0.5"], "scale", False),
        (["1 %", "10 %", "100 %"], "scale", True),
        (["0", "0.9", "0.99", "0.999", "0.9999"], "order", False),
        (["32", "1024", "64 in equal steps", "512 in equal steps"], "scale", True),
        (["3x", "4x"], "names", False),
        (["no crop", "no flip"], "names", False),
        (["32", "many"], "names", False),
        (["32", "1e999"], "names", False),
        (["32"], "names", False),
    ],
)
def test_arms_are_numbers_an_order_or_names(labels, kind, log):
    found = study_chart.axis(labels)
    assert (found.kind, found.log) == (kind, log)
    if kind != "names":
        numbers = [float(label.split()[0]) for label in found.labels]
        assert numbers == sorted(numbers)


def test_no_two_lines_have_the_same_colour_and_shape(study: Study):
    for at in range(20):
        name = f"method_{at}"
        study.brief["methods"][name] = {"family": "pretext"}
        LINEAR.setdefault(name, 0.5 + at / 100)
        for arm in ("64", "256"):
            study.plan(name, 0, arm, f"training.batch={arm}")
    study.make()
    page = Page(study.page.read_text())
    specs = [json.loads(e["text"]) for e in page.all("script") if "json" in e.get("type", "")]
    encodings = [layer["encoding"] for spec in specs for layer in spec["layer"]]
    both = [(each["color"], each["shape"]) for each in encodings if "shape" in each]
    assert both
    for colour, shape in both:
        ranges = [each["scale"]["range"] for each in (colour, shape)]
        assert len(set(zip(*ranges, strict=True))) == len(ranges[0]) == 22


def test_the_claims_are_drawn_with_every_seed_and_the_margin(made: Study):
    page = Page(made.page.read_text())
    spec = json.loads(next(e["text"] for e in page.all("script") if "json" in e.get("type", "")))
    drawn = [row for data in spec["datasets"].values() for row in data]
    record = json.loads(made.page.with_suffix(".json").read_text())
    for at, claim in enumerate(record["claims"], 1):
        label = f"{at} {claim['says']}"
        dots = {r["seed"]: r["value"] for r in drawn if r.get("claim") == label and "seed" in r}
        wanted = {int(seed): 100 * each for seed, each in claim["differences"].items()}
        assert dots == pytest.approx(wanted, rel=1e-4)
        row = next(r for r in drawn if r.get("claim") == label and "mean" in r)
        band = 4.0 if claim.get("within") else 1.0
        assert (row["inner"], row["outer"]) == pytest.approx((-band, band))
        assert row["low"] == pytest.approx(100 * claim["low"], rel=1e-4)


def test_a_verdict_can_be_each_of_four(study: Study):
    study.brief["claims"] = CLAIMS[:1]
    assert study.make()["verdict"] == "holds"
    assert "The statement holds" in Page(study.page.read_text()).all("h2")[0]["text"]
    turned = {"says": "so", "higher": "simclr[64]", "than": "simclr[256]"}
    study.brief["claims"] = [turned, CLAIMS[0]]
    assert study.make()["verdict"] == "holds in part"
    assert "holds in part (1 of 2)" in Page(study.page.read_text()).all("h2")[0]["text"]
    assert (
        "The statement **holds in part (1 of 2)** on" in study.page.with_suffix(".md").read_text()
    )
    study.brief["claims"] = [turned]
    assert study.make()["verdict"] == "does not hold"
    study.brief["claims"] = [{"says": "so", "higher": "random[base]", "than": 0.72}]
    found = study.make()
    assert (found["verdict"], found["claims"][0]["word"]) == ("open", "open")
    page = Page(study.page.read_text())
    assert "The statement is open" in page.all("h2")[0]["text"]
    needed = [" ".join(each["text"].split()) for each in page.all("td")]
    assert "about" in needed[5] or "more than 200" in needed[5]


def test_a_margin_is_the_claims_own_or_the_studys_and_only_of_shares(study: Study):
    study.brief["margin"] = 0.5
    same = {"says": "so", "higher": "simclr[64]", "than": "random[base]"}
    study.brief["claims"] = [same, same | {"margin": 0.2}, same | {"metric": "log.loss"}]
    for run in study.brief["runs"]:
        if run["method"] == "random":
            shutil.copy(
                study.run("simclr", 0) / "log.parquet",
                study.run("random", run["seed"], run["variant"]) / "log.parquet",
            )
    record = study.make()
    assert [claim["margin"] for claim in record["claims"]] == [0.5, 0.2, None]


def test_a_study_without_claims_has_a_page_and_no_verdict(study: Study):
    study.brief |= {"claims": [], "statement": ""}
    assert study.make()["verdict"] is None
    page = Page(study.page.read_text())
    assert next(each["text"] for each in page.all("h2")) == "fashion_mnist"
    assert dead(study.page) == []


def test_a_claim_about_logs_and_run_facts(study: Study):
    study.brief["metrics"] = ["log.loss", "run.seconds"]
    study.brief["claims"] = [
        {"says": "so", "higher": "simclr[64].log.loss", "than": "3.4", "metric": "linear"},
        {"says": "and", "higher": "rotation[64].run.seconds", "than": "simclr[64].run.seconds"},
    ]
    record = study.make()
    logs = [pd.read_parquet(study.run("simclr", s) / "log.parquet").loss.iloc[-1] for s in SEEDS]
    assert record["claims"][0]["effect"] == pytest.approx(np.mean(logs) - 3.4, rel=1e-4)
    assert record["claims"][1]["effect"] == pytest.approx(10)
    assert "loss at the end of training" in study.page.read_text()


def test_a_seed_that_lacks_the_measure_is_left_out_and_too_few_are_refused(study: Study):
    study.brief["claims"] = CLAIMS[:1]
    for seed in SEEDS[:2]:
        write_json(study.run("simclr", seed) / "metrics/linear.json", {})
    assert study.make()["claims"][0]["seeds"] == 2
    write_json(study.run("simclr", 2) / "metrics/linear.json", {})
    said = "'SimCLR gains' cannot be judged on fashion_mnist: simclr\\[64\\] was measured with 1"
    with pytest.raises(UserError, match=said):
        study.make()


def test_only_what_the_study_asks_for_is_read(study: Study):
    """What another study has measured of a shared run changes no byte."""
    study.make()
    before = study.page.with_suffix(".csv").read_bytes()
    folder = study.run("simclr", 0) / "transfer"
    folder.mkdir()
    write_json(folder / "digits.json", {"digits_linear": 0.5})
    study.make()
    assert study.page.with_suffix(".csv").read_bytes() == before
    study.brief["transfer"] = ["digits"]
    with pytest.raises(UserError, match="transfer/digits.json.*finish the run first"):
        study.make()
    for run in study.brief["runs"]:
        folder = study.run(run["method"], run["seed"], run["variant"]) / "transfer"
        folder.mkdir(exist_ok=True)
        write_json(folder / "digits.json", {"digits_linear": 0.5})
    study.make()
    assert "digits_linear" in study.page.with_suffix(".csv").read_text()
    assert "linear accuracy, on digits (%)" in study.page.read_text()


def test_a_run_in_two_arms_is_shown_in_both(study: Study):
    for seed in SEEDS:
        study.plan("simclr", seed, "128", "training.batch=64", write=False)
    found = judge(read_brief(study), compare(read_brief(study), study.runs))
    labels = [arm.label for arm in found.comparisons[0].arms if arm.method == "simclr"]
    assert labels == ["64", "256", "128"]
    assert found.record()["made"]["runs"] == 20


def read_brief(study: Study):
    params = study.folder / "brief.yaml"
    params.write_text(yaml.safe_dump(frozen(study.brief)))
    return read(params)


EXPORT = """<script>
const line = document.querySelector(".export");
const written = {};
for (const link of line.querySelectorAll("a")) {
  link.addEventListener("click", (event) => event.preventDefault());
  link.click();
  written[link.textContent] = decodeURIComponent(link.href.split(",").slice(1).join(","));
}
const shown = document.createElement("pre");
shown.id = "written";
shown.textContent = JSON.stringify(written);
document.body.append(shown);
document.querySelectorAll("table.leaderboard th button")[2].click();
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_study_in_a_browser(made: Study):
    page = browse(made.page, EXPORT)
    assert len([e for e in page.all("svg") if "marks" in e.get("class", "")]) == 3
    written = json.loads(next(e["text"] for e in page.all("pre") if e.get("id") == "written"))
    rows = list(csv.reader(io.StringIO(written["CSV"])))
    assert rows[0][0] == "claim"
    assert len(rows) == 4
    assert {len(row) for row in rows} == {len(rows[0])}
    assert written["Markdown"].count("\n") == 5
    assert re.search(r"^\| 1 SimCLR gains", written["Markdown"], re.MULTILINE)
    # sorted by accuracy: SimCLR's large batch first, as it gains most
    table = [e for e in page.all("th") if e.get("scope") == "row" and "data-value" in e]
    assert table[0]["data-value"] == "simclr"
    assert [e["text"] for e in page.all("th") if e.get("aria-sort") == "descending"] == [
        "Linear accuracy (%)"
    ]


def test_a_study_of_settings_says_what_each_method_tried_and_what_is_best(tmp_path: Path):
    study = Study(tmp_path, "tuning", statement="", claims=[], metric="validation_linear")
    study.brief["metrics"] = ["validation_linear"]
    for run in study.brief["runs"]:
        best = {("simclr", "256"): 0.9, ("rotation", "64"): 0.8}.get(
            (run["method"], run["arm"]), 0.7
        )
        run["arm"] = {"64": "base"}.get(run["arm"], run["arm"])
        metrics = study.run(run["method"], run["seed"], run["variant"]) / "metrics/linear.json"
        found = json.loads(metrics.read_text())
        write_json(metrics, found | {"validation_linear": best})
    study.make()
    text = study.page.with_suffix(".md").read_text()
    assert re.search(r"\| simclr +\| 2 +\| 256 +\| 20\.0 points +\|", text)
    assert re.search(r"\| rotation +\| 2 +\| its recipe +\| none +\|", text)
    assert not re.search(r"\| random +\| 1 ", text)
    tables = Page(study.page.read_text()).all("caption")
    assert any("Chosen on the validation split" in each["text"] for each in tables)
