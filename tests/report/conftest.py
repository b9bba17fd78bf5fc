"""The usual study and its report, on synthetic runs in the real format."""

import shutil
from pathlib import Path

import pytest

from support.pages import Page
from support.runs import Study


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The usual study, with its report; a test only looks at it."""
    study = Study(tmp_path_factory.mktemp("study"))
    study.report()
    return study


@pytest.fixture
def study(made: Study, tmp_path: Path) -> Study:
    """The study of a module's tests, for one of them to change."""
    shutil.copytree(made.runs, tmp_path / "runs")
    return type(made)(tmp_path, write=False)


@pytest.fixture
def page(made: Study) -> Page:
    return Page((made.out / "index.html").read_text())
