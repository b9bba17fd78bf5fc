"""What `dvc plots show` draws of the files in git, in a browser without a network."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from support.browser import CHROMIUM
from support.pages import Page, browse
from support.project import ROOT
from support.versions import dvc, git
from unlabel.command import plots
from unlabel.errors import UserError

BOARD, TRAINING = "reports/plots/leaderboard.csv", "reports/plots/training.csv"
SIZE = "the result view size may be incorrect"  # Vega-Lite warns of facets with several layers
STATEMENTS = "reports/published/statements.csv"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, made in a repository of what the plots need."""
    folder = tmp_path_factory.mktemp("plots")
    for name in ("dvc.yaml", ".dvc/config", ".dvc/plots", BOARD, TRAINING, STATEMENTS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    plots.run(folder / ".dvc")
    dvc(folder, "plots", "show", "-o", "page")
    return folder / "page/index.html"


def test_the_page_needs_no_network(shown: Path):
    page = Page(shown.read_text())
    assert not [each for each in page.found if each.get("src") or each.get("href")]
    assert not {"link", "iframe"} & {each["tag"] for each in page.found}


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_each_method_and_claim_has_a_place_of_its_own(shown: Path):
    texts = texts_of(browse(shown, harmless=SIZE))
    training = pd.read_csv(ROOT / TRAINING)
    for name in ("loss", "effective_rank"):
        methods = training[training[name].notna()].method.unique()
        assert [texts[name].count(method) for method in methods] == [1] * len(methods)
    methods = pd.read_csv(ROOT / BOARD).method
    assert [texts["leaderboard"].count(method) for method in methods] == [1] * len(methods)
    claims = [short(claim) for claim in pd.read_csv(ROOT / STATEMENTS).claim]
    assert sorted(text for text in texts["statements"] if text in claims) == sorted(claims)


def texts_of(page: Page) -> dict[str, list[str]]:
    """The words in each plot."""
    found: dict[str, list[str]] = {}
    for each in page.found:
        if each["tag"] == "div" and each["in"] == ["html", "body"]:
            words = found.setdefault(each["id"], [])
        elif each["tag"] == "text":
            words.append(each["text"])
    return found


def short(claim: str) -> str:
    """Without the study, which stands above."""
    return claim.partition(" ")[2]


def test_a_folder_without_dvc_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="is not the folder of a DVC repository"):
        plots.run(tmp_path)
