"""The page of all statements."""

import json
from pathlib import Path

import pandas as pd
import pytest

from support.made_study import CLAIMS, Study
from support.pages import CHROMIUM, Page, browse, dead
from unlabel.errors import UserError
from unlabel.stage import statements as together
from unlabel.workflow import resources


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
    together.run(records, *out)
    return folder / "reports"


def test_statements_are_corrected_for_being_several(several: Path):
    record = json.loads((several / "statements.json").read_text())
    own = {name: json.loads((several / f"study/{name}.json").read_text())["p"] for name in record}
    order = sorted(own, key=lambda name: own[name])
    assert record[order[0]]["p_holm"] == pytest.approx(min(1, 3 * own[order[0]]), rel=1e-4)
    for name, found in record.items():
        assert found["p_holm"] >= own[name]
        assert (found["verdict"] != "undecided at this scale") == (found["p_holm"] < 0.05)
    assert {found["verdict"] for found in record.values()} >= {"holds here", "does not hold here"}
    table = pd.read_csv(several / "statements.csv")
    assert table.study.tolist() == ["batch_size", "nothing", "turned"]
    assert "| Batch size |" in (several / "statements.md").read_text()


def test_everything_on_the_page_of_statements_resolves(several: Path):
    assert dead(several / "statements.html") == []
    page = Page((several / "statements.html").read_text())
    assert list(page.rows("leaderboard statements")) == ["Batch size", "Nothing", "Turned"]
    lead = next(e["text"] for e in page.all("p") if e.get("class") == "lead")
    assert lead.startswith("3 statements tested: 1 holds here, 1 does not hold here")
    assert "fashion_mnist with resnet_mini at budget quick" in page.all("main")[0]["text"]


def test_a_record_without_a_verdict_is_refused(several: Path, tmp_path: Path):
    out = [tmp_path / f"statements{end}" for end in (".html", ".json", ".csv", ".md")]
    bad = tmp_path / "bad.json"
    with pytest.raises(UserError, match="make the study first"):
        together.run([bad], *out)
    bad.write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        together.run([bad], *out)
    bad.write_text("{}")
    with pytest.raises(UserError, match="does not hold a verdict"):
        together.run([bad], *out)


def test_targets_name_their_studies(tmp_path: Path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study/one.yaml").write_text("statement: so")
    (tmp_path / "study/two.yaml").write_text("title: two")
    found = resources.studies(["-n", "reports/study/two.html", "reports/statements.md"], tmp_path)
    assert found == ["two", "one"]
    assert resources.studies(["reports/index.html"], tmp_path) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_statements_in_a_browser(several: Path, tmp_path: Path):
    by_verdict = """<script>
    document.querySelectorAll("table.statements th button")[2].click();
    </script>"""
    page = browse(several / "statements.html", tmp_path, by_verdict)
    rows = page.rows("leaderboard statements")
    assert list(rows)[:2] == ["Batch size", "Turned"]
    assert rows["Batch size"][1] == "holds here"
