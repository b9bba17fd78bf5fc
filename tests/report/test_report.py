"""The report: its statistics, its files, and its page, on synthetic runs in the real format."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import torch
import yaml

from support.browser import CHROMIUM
from support.pages import Page, browse
from support.runs import (
    LINEAR,
    METHODS,
    PROBES,
    SAID,
    SEEDS,
    Study,
    compared,
    write_json,
    write_run,
)
from unlabel.analysis.arms import gather
from unlabel.analysis.frozen_study import read
from unlabel.command import leaderboard
from unlabel.errors import UserError
from unlabel.features.split import Features, Split
from unlabel.report import chart, encoder_charts
from unlabel.report.summary import sentences


def test_page_has_the_leaderboard(page: Page):
    rows = page.rows()
    assert list(rows) == ["simclr", "rotation", "autoencoder", "supervised", "random"]
    assert rows["simclr"][0] == "contrastive"
    assert re.fullmatch(r"8\d\.\d ± \d\.\d", rows["simclr"][2])
    assert rows["simclr"][3].startswith("+")
    assert rows["simclr"][-4:] == ["8", "61 s", "1,834", "612 MB"]
    assert rows["random"][-4:] == ["–"] * 4
    bold = [e["text"] for e in page.all("td") if "best" in e.get("class", "")]
    assert len(bold) == 7
    assert "uses labels" in next(e for e in page.all("h4") if "supervised" in e["text"])["text"]


def test_page_says_how_many_settings_of_a_method_were_tried(study: Study):
    study.brief["methods"]["simclr"] |= {"tried": 5}
    page = Page(study.report())
    assert "settings tried" in [e["text"] for e in page.all("button")]
    rows = page.rows()
    assert (rows["simclr"][-5], rows["rotation"][-5]) == ("5", "–")


def test_page_counts_the_images_and_says_what_was_left_out(page: Page, study: Study):
    assert [each["text"].strip() for each in page.all("li")][: len(SAID)] == list(SAID)
    rows = [each["text"].split() for each in page.all("tr")]
    at = rows.index(["train", "5,400", "400", "2", "2,000", "to", "3,000"])
    assert rows[at + 1] == ["validation", "600", "0", "2", "300"]
    assert rows[at + 2] == ["test", "1,000", "1,000", "–", "–"]
    about = study.prepared / "fashion_mnist/report.json"
    write_json(about, {"summary": []})
    with pytest.raises(UserError, match="does not count the images of a dataset; prepare the data"):
        study.report()
    about.unlink()
    with pytest.raises(UserError, match="cannot read .*report.json.*; prepare the dataset first"):
        study.report()


def test_page_loads_nothing_from_outside(page: Page):
    for element in page.found:
        for name in ("src", "href", "data", "action", "poster", "srcset", "xlink:href"):
            address = element.get(name) or ""
            if element["tag"] == "a" and name == "href":
                assert address.startswith(("#", "https://arxiv.org/abs/", "method/"))
            else:
                assert address.startswith("data:image/png") or not address, element
    for style in page.all("style"):
        assert "url(" not in style["text"]
        assert "@import" not in style["text"]
    policy = next(e["content"] for e in page.all("meta") if "http-equiv" in e)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_page_can_be_read_without_eyes(page: Page):
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert all(each["alt"] for each in page.all("img"))
    assert len(page.all("img")) == 4 * 2 * 8
    plots = [each for each in page.all("div") if each.get("class") == "plot"]
    assert len(plots) == 2 + 3 + 3 + 5 + 4
    assert all(each["role"] == "img" and each["aria-label"] for each in plots)
    assert len(page.all("caption")) == len(page.all("table")) == 4
    assert all(each["scope"] for each in page.all("th"))
    assert [e["aria-sort"] for e in page.all("th") if "aria-sort" in e] == ["descending"]
    levels = [int(each["tag"][1]) for each in page.all("h1", "h2", "h3", "h4")]
    assert all(next - now <= 1 for now, next in pairwise(levels))


def test_links_on_the_page_resolve(page: Page):
    ids = [each["id"] for each in page.found if "id" in each]
    assert len(set(ids)) == len(ids)
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert unquote(link["href"][1:]) in ids
    for element in page.found:
        if "aria-labelledby" in element:
            assert element["aria-labelledby"] in ids


def test_charts_hold_the_data(page: Page):
    specs = [json.loads(e["text"]) for e in page.all("script") if "json" in e.get("type", "")]
    assert all(
        spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/") for spec in specs
    )
    assert "simclr" in json.dumps(specs[0])
    assert "untrained" in json.dumps(specs[1])


def test_lead_says_who_is_best(made: Study):
    brief = read(made.params)
    told = sentences(gather(brief, made.runs)[0], "linear")
    assert told[0].startswith("simclr has the highest linear accuracy")
    assert "points above the untrained encoder" in told[0].replace("\xa0", " ")
    assert told[1].startswith("rotation is next")
    assert told[2].startswith("With labels, supervised reaches")


def test_text_is_escaped(study: Study):
    bad = "<script>alert(1)</script>"
    study.brief["methods"]["simclr"] |= {"title": bad, "family": bad, "summary": bad}
    study.brief["methods"]["simclr"]["arxiv"] = '"><script>alert(2)</script>'
    study.brief |= {"title": bad, "question": bad, "statement": bad, "source": bad}
    folder = study.plan("simclr", 0, "method.temperature=0.5", arm=bad)
    write_run(folder, "simclr", 0)
    shown = pd.read_parquet(folder / "pictures.parquet").assign(caption=bad)
    shown.to_parquet(folder / "pictures.parquet", index=False)
    page = Page(study.report())
    assert all(
        "alert(" not in each["text"] or "json" in each.get("type", "")
        for each in page.all("script")
    )
    assert page.all("h1")[0]["text"] == bad
    assert any(each["alt"].startswith(bad) for each in page.all("img"))
    assert any(name.endswith(bad) for name in page.rows())


def test_missing_metric_is_a_dash(study: Study):
    for seed in SEEDS:
        write_json(study.run("rotation", seed) / "metrics/finetune.json", {})
    page = Page(study.report())
    assert page.rows()["rotation"][6:9] == ["–", "–", "–"]
    assert "finetune_1" not in compared(study, "rotation")


def test_one_seed_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = Study(tmp_path, seeds=(3,))
    page = Page(study.report())
    assert re.fullmatch(r"8\d\.\d", page.rows()["simclr"][2])
    assert "one seed: no interval" in page.all("caption")[0]["text"]
    assert any("with one seed" in each["text"] for each in page.all("p"))
    board = pd.read_csv(study.out / "plots/leaderboard.csv")
    assert board.linear_interval.isna().all()
    leaderboard.run(study.out / "results.parquet", study.out / "index.html")
    assert "one seed: no interval" in capsys.readouterr().out


def test_collapse_is_named(study: Study):
    path = study.run("simclr", 1) / "log.parquet"
    log = pd.read_parquet(path)
    log.loc[log.index[-1], "deviation"] = 0.012
    log.to_parquet(path, index=False)
    page = Page(study.report())
    note = next(each["text"] for each in page.all("div") if each.get("role") == "note")
    assert "simclr collapsed" in note
    assert "with seed 1, its features' deviation ended at 0.012, below 0.05" in " ".join(
        note.split()
    )
    assert "Try a lower optimizer.lr" in note
    assert any("collapsed" in each["text"] for each in page.all("h4"))


@pytest.mark.parametrize(
    ("h", "drawn"),
    [
        (torch.ones(40, 8), False),  # as of images that are all black: t-SNE ended by signal 11
        (torch.zeros(40, 8), False),
        (torch.full((40, 8), torch.nan), False),
        (torch.eye(8)[:3], False),
        (torch.eye(8).repeat(5, 1), True),
    ],
)
def test_features_that_do_not_vary_have_no_map(h: torch.Tensor, drawn: bool):
    number = torch.arange(len(h))
    part = Split(number, number % 2, number[:, None] * 0, h, None)
    found = Features(part, part, part, {}, ("cat", "dog"), {})
    assert (encoder_charts._map(found) is not None) == drawn


def test_untrained_encoder_cannot_collapse(study: Study):
    path = study.run("random") / "log.parquet"
    pd.read_parquet(path).assign(deviation=0.01, effective_rank=1.0).to_parquet(path, index=False)
    study.params.write_text(yaml.safe_dump(study.brief))
    setting = gather(read(study.params), study.runs)[0]
    assert not any(arm.collapsed for arm in setting.arms)


def test_variants_stand_beside_each_other(study: Study):
    for seed in SEEDS:
        write_run(study.plan("simclr", seed, "method.temperature=0.5", "warm"), "simclr", seed)
    study.brief["runs"] += study.brief["runs"][:3]  # one run in two arms is one run
    page = Page(study.report())
    assert {"simclr", "simclr, warm"} <= set(page.rows())
    assert compared(study, "simclr/method.temperature=0.5")
    assert len(pd.read_parquet(study.out / "results.parquet")) == 18 * 13


def test_an_unknown_measure_works(study: Study):
    for method in METHODS:
        for seed in SEEDS:
            write_json(study.run(method, seed) / "metrics/shape.json", {"roundness": 3.25 + seed})
    study.brief |= {"metric": "roundness", "probes": [*PROBES, "shape"]}
    page = Page(study.report())
    assert page.rows()["simclr"][1] == "4.25 ± 2.48"
    assert "roundness of each method" in next(
        e["aria-label"] for e in page.all("div") if "aria-label" in e and e.get("role") == "img"
    )


def test_a_metric_that_no_arm_of_a_dataset_has_is_not_drawn(study: Study):
    study.params.write_text(yaml.safe_dump(study.brief))
    setting = gather(read(study.params), study.runs)[0]
    assert chart.accuracy(setting, "linear")
    unmeasured = tuple(
        replace(arm, results=tuple(replace(each, probes={}) for each in arm.results))
        for arm in setting.arms
    )
    assert chart.accuracy(replace(setting, arms=unmeasured), "linear") is None


def test_where_lower_is_better_the_lowest_is_best(study: Study):
    found = {"simclr": 0.9, "rotation": 0.1, "autoencoder": 0.5, "supervised": 1.0, "random": 1.1}
    for method, value in found.items():
        for seed in SEEDS:
            path = study.run(method, seed) / "metrics/error.json"
            write_json(path, {"error": value + 0.01 * seed})
    error = {"name": "error", "title": "error of it", "better": "lower"}
    declared = [*study.brief["declared"], error]
    study.brief |= {"metric": "error", "probes": [*PROBES, "error"], "declared": declared}
    page = Page(study.report())
    text = page.all("body")[0]["text"].replace("\xa0", " ")
    assert "rotation has the lowest error of it of all methods without labels, 0.110" in text
    assert "autoencoder is next with 0.510 ± 0.025." in text  # as the intervals are apart
    assert list(page.rows())[:3] == ["rotation", "autoencoder", "simclr"]
    (sorted_by,) = (each for each in page.all("th") if "aria-sort" in each)
    assert (sorted_by["text"], sorted_by["aria-sort"]) == ("error of it", "ascending")
    bold = [e["text"].split()[0] for e in page.all("td") if "best" in e.get("class", "")]
    assert "0.110" in bold
    for seed in SEEDS:
        path = study.run("autoencoder", seed) / "metrics/error.json"
        write_json(path, {"error": 0.11 + 0.01 * seed})
    assert "their intervals overlap, so the order may be chance" in study.report()


def no_number(name: str) -> None:
    pytest.fail(f"{name} is not JSON, and a browser would draw no chart after it")


def test_the_charts_of_a_training_that_diverged_are_drawn(study: Study):
    for method, column in (("simclr", "mutual_information_bound"), ("rotation", "accuracy")):
        for seed in SEEDS:
            path = study.run(method, seed) / "log.parquet"
            log = pd.read_parquet(path)
            log.loc[20:, column] = torch.inf if method == "simclr" else -torch.inf
            log.to_parquet(path, index=False)
    page = Page(study.report())
    specs = [e["text"] for e in page.all("script") if "json" in e.get("type", "")]
    assert len([json.loads(each, parse_constant=no_number) for each in specs]) == 17
    if CHROMIUM:
        page = browse(study.out / "index.html")
        assert len([e for e in page.all("svg") if "marks" in e.get("class", "")]) == 17


CLICK = """<script>
const heading = [...document.querySelectorAll("table.leaderboard th button")]
  .find((each) => each.textContent === "method");
heading.click();
heading.click();
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_page_in_a_browser(made: Study):
    """Charts are drawn, a click sorts within each part of the table, nothing is complained of."""
    page = browse(made.out / "index.html", CLICK)
    assert len([e for e in page.all("svg") if "marks" in e.get("class", "")]) == 17
    assert list(page.rows()) == ["simclr", "rotation", "autoencoder", "supervised", "random"]
    assert [e["text"] for e in page.all("th") if e.get("aria-sort") == "descending"] == ["method"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_one_method_in_a_browser(study: Study):
    """A chart of one point has no empty layer, of which Vega would warn."""
    study.brief["runs"] = [run for run in study.brief["runs"] if run["method"] == "simclr"]
    study.report()
    assert list(browse(study.out / "index.html").rows()) == ["simclr"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_many_methods_are_folded(study: Study):
    """With 30 methods, the page is as quick: what each shows is drawn when it is unfolded."""
    for at in range(25):
        name = f"method_{at}"
        study.brief["methods"][name] = {"family": "pretext", "summary": "One of many."}
        LINEAR.setdefault(name, 0.5 + at / 100)
        study.plan(name, 0)
        write_run(study.run(name), name, 0)
    study.report()
    page = browse(study.out / "index.html")
    assert len(page.rows()) == 30
    assert len([e for e in page.all("svg") if "marks" in e.get("class", "")]) == 2
    unfold = "<script>document.querySelector('article details').open = true;</script>"
    page = browse(study.out / "index.html", unfold)
    assert len([e for e in page.all("svg") if "marks" in e.get("class", "")]) > 2
