"""The page of all statements."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from support.browser import CHROMIUM
from support.made_study import CLAIMS, Study
from support.pages import Page, browse, dead
from support.project import ROOT
from unlabel.command import publish
from unlabel.errors import UserError
from unlabel.report import statements_page
from unlabel.stage import statements as together
from unlabel.workflow import resources
from unlabel.workflow.published_studies import MARK


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages of three studies, and of all statements."""
    folder = tmp_path_factory.mktemp("several")
    first = Study(folder, "batch_size", claims=CLAIMS[:1])
    turned = {"says": "so", "higher": "simclr[64]", "than": "simclr[256]"}
    for each in (
        first,
        Study(folder, "turned", write=False, claims=[turned]),
        Study(
            folder,
            "nothing",
            write=False,
            claims=[{"says": "so", "higher": "random[base]", "than": 0.72}],
        ),
    ):
        each.make()
    records = [
        folder / f"reports/study/{name}.json" for name in ("turned", "batch_size", "nothing")
    ]
    out = [folder / f"reports/statements{end}" for end in (".html", ".json", ".csv", ".md")]
    left_out = folder / "left_out.yaml"
    left_out.write_text("left_out: {large: no room for a batch of 4096}")
    together.run(left_out, records, *out)
    return folder / "reports"


def test_statements_are_corrected_for_being_several(several: Path):
    record = json.loads((several / "statements.json").read_text())
    own = {name: json.loads((several / f"study/{name}.json").read_text())["p"] for name in record}
    order = sorted(own, key=lambda name: own[name])
    assert record[order[0]]["p_holm"] == pytest.approx(min(1, 3 * own[order[0]]), rel=1e-4)
    for name, found in record.items():
        assert found["p_holm"] >= own[name]
        assert (found["strict"] != "open") == (found["p_holm"] < 0.05)
        page = json.loads((several / f"study/{name}.json").read_text())
        assert found["verdict"] == page["verdict"]  # the same word wherever it is shown
    assert [record[name]["verdict"] for name in ("batch_size", "turned", "nothing")] == [
        "holds",
        "does not hold",
        "open",
    ]
    table = pd.read_csv(several / "statements.csv")
    assert table.study.tolist() == ["batch_size", "nothing", "turned"]
    assert table.claim[1:].tolist() == ["nothing 1: so", "turned 1: so"]
    text = (several / "statements.md").read_text()
    assert "| Batch size |" in text
    assert text.endswith("- `large`: no room for a batch of 4096\n")


def test_everything_on_the_page_of_statements_resolves(several: Path):
    assert dead(several / "statements.html") == []
    page = Page((several / "statements.html").read_text())
    assert list(page.rows("leaderboard statements")) == ["Batch size", "Nothing", "Turned"]
    lead = next(e["text"] for e in page.all("p") if e.get("class") == "lead")
    assert lead == "3 statements tested: 1 holds, 1 does not hold, 1 open."
    notes = [e["text"] for e in page.all("p") if e.get("class") == "note"]
    assert notes[2] == "One study has no verdict here."
    assert notes[0] == "2 of their 3 claims are decided: 1 holds, 1 reversed."
    assert notes[1].endswith(
        "at most 0.03 claims would be decided wrongly, 1.5 % of those that are."
    )
    assert "fashion_mnist with resnet_mini at budget quick" in page.all("main")[0]["text"]


def test_claims_of_the_same_words_have_names_of_their_own():
    claim = {"says": "BYOL does", "formula": "a > b", "dataset": "digits", "effect": 0.1}
    claim |= {"low": 0.0, "high": 0.2, "seeds": 3, "p_for": 0.5, "p_against": 0.5, "word": "open"}
    claims = [claim, claim | {"dataset": "shapes"}, claim | {"formula": "c > d"}]
    study = {"name": "one", "title": "One", "claims": claims, "p": 1, "p_for": 1, "p_against": 1}
    table = statements_page.table(statements_page.judge([study]))
    assert table.claim.tolist() == [
        "one 1: BYOL does (digits)",
        "one 1: BYOL does (shapes)",
        "one 2: BYOL does (digits)",
    ]


def test_too_few_decided_claims_are_not_to_be_believed():
    words = ["holds"] + ["open"] * 9
    study = {"name": "one", "title": "One", "p": 1, "p_for": 1, "p_against": 1}
    study["claims"] = [{"word": word} for word in words]
    said = list(statements_page.summary(statements_page.judge([study])))
    assert said[0] == "One statement tested: 1 holds in part."
    assert "fewer than 2 of them are decided" in said[2]
    assert said[2].endswith("believe none of them.")
    assert len(said) == 3
    early = statements_page.judge([study, study | {"title": "Two", "until": 6}])
    assert list(statements_page.summary(early))[3] == (
        "Open claims that more seeds may still decide, which were not asked for: 9."
    )


def test_what_is_published_is_whole_and_says_what_made_it(several: Path, tmp_path: Path):
    """No known code made these studies. For those that count see workflow/test_publishing.py."""
    publish.run(several, tmp_path, params=ROOT / "params")
    names = ("batch_size", "nothing", "turned")
    whole = {f"study/{name}{end}" for name in names for end in (".json", ".csv", ".md")}
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == whole
    for path in whole:
        source, text = (several / path).read_text(), (tmp_path / path).read_text()
        if path.endswith(".md"):
            mark, _, text = text.partition("\n\n")
            assert mark == f"{MARK}: it does not say which settings and code made it."
            assert text.startswith(source.rstrip())
            assert text.splitlines()[-1].startswith("Made by the code of ")
        else:
            assert text == source
    made = json.loads((several / "study/nothing.json").read_text())["made"]
    assert f"with torch {made['torch'][0]}" in (tmp_path / "study/nothing.md").read_text()


def test_one_study_is_published_under_another_name(several: Path, tmp_path: Path):
    publish.run(several, tmp_path, ["nothing"], "_cifar10")
    assert sorted(path.stem for path in tmp_path.rglob("*.*")) == ["nothing_cifar10"] * 3


def test_half_a_study_is_not_published(several: Path, tmp_path: Path):
    half = shutil.copytree(several, tmp_path / "half")
    (half / "study/turned.csv").unlink()
    with pytest.raises(UserError, match="turned.csv cannot be read; make it again"):
        publish.run(half, tmp_path / "out")
    with pytest.raises(UserError, match="study has no verdict; make the studies first"):
        publish.run(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_record_without_a_verdict_is_refused(several: Path, tmp_path: Path):
    out = [tmp_path / f"statements{end}" for end in (".html", ".json", ".csv", ".md")]
    bad = tmp_path / "bad.json"
    with pytest.raises(UserError, match="make the study first"):
        together.run(tmp_path / "none.yaml", [bad], *out)
    bad.write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        together.run(tmp_path / "none.yaml", [bad], *out)
    bad.write_text("{}")
    with pytest.raises(UserError, match="does not hold a verdict"):
        together.run(tmp_path / "none.yaml", [bad], *out)


def test_a_study_that_cannot_be_run_is_named_with_its_reason(several: Path):
    page = (several / "statements.html").read_text()
    assert "<li>large: no room for a batch of 4096</li>" in page


def test_targets_name_their_studies():
    targets = ["-n", "reports/study/two.html", "reports/statements.md"]
    assert resources.studies(targets, lambda: ["one"]) == ["two", "one"]
    assert resources.studies(["reports/index.html"], lambda: ["one"]) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_statements_in_a_browser(several: Path):
    by_verdict = """<script>
    document.querySelectorAll("table.statements th button")[1].click();
    </script>"""
    page = browse(several / "statements.html", by_verdict)
    rows = page.rows("leaderboard statements")
    assert list(rows)[:2] == ["Batch size", "Turned"]
    assert rows["Batch size"][0] == "holds"
