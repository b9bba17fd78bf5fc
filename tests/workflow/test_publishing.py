"""What is published: which studies count, and which of them older code or settings made."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from support.project import LOOKED, project, snakemake, with_one_study
from support.versions import replace
from unlabel.cli import main
from unlabel.workflow import published_studies
from unlabel.workflow.plan import Plan


@pytest.fixture
def params(tmp_path):
    folder = project(tmp_path / "project", LOOKED) / "params"
    (folder / "study/mine.yaml").write_text(yaml.safe_dump(LOOKED))
    return folder


@pytest.fixture(autouse=True)
def own_plan(monkeypatch):
    """Each command reads the settings anew, as a process of its own would."""
    monkeypatch.delenv("UNLABEL_PLAN", raising=False)
    published_studies._plan.cache_clear()


def say(capsys, *words: str) -> tuple[str, str]:
    """What a command of unlabel prints, on stdout and on stderr."""
    published_studies._plan.cache_clear()
    capsys.readouterr()
    main(list(words))
    return tuple(capsys.readouterr())


def statements(folder: Path) -> tuple[list[str], str]:
    """The studies with a published verdict, and the text of their statements."""
    text = (folder / "statements.md").read_text()
    return sorted(path.stem for path in (folder / "verdict").iterdir()), text


def check_other_judging(page: Path, capsys) -> None:
    """Other code of judging makes the study `test` stale only if it comes to something else."""
    record = json.loads(page.read_text())
    right, changed = record["claims"][0]["effect"], "settings or code of judging have changed"
    for effect, said in ((right, "current"), (0.5, changed)):
        other = json.loads(page.read_text())
        other["made"]["fingerprints"]["look"] = "other"
        other["claims"][0]["effect"] = effect
        page.write_text(json.dumps(other))
        assert say(capsys, "published")[0].startswith(f"test: {said}")
    say(capsys, "publish")
    assert json.loads(page.read_text()) == record


def test_studies_of_several_machines_are_published_together(tmp_path, monkeypatch, capsys):
    there = with_one_study(tmp_path / "there", LOOKED)
    other = LOOKED | {"title": "Other", "settings": ["training.epochs=1"]}
    (there / "params/study/other.yaml").write_text(yaml.safe_dump(other))
    here = shutil.copytree(there, tmp_path / "here")
    looked = ("--cores", "2", "--config", "looks=1", "--")
    snakemake(there, *looked, "reports/study/test.html")
    monkeypatch.chdir(there)
    old = there / "reports/published/verdict/old.json"  # of a study that is there no longer
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    assert say(capsys, "publish")[1] == "6 files in reports/published; now commit them to git\n"
    assert say(capsys, "published")[0] == "test: current\n"
    check_other_judging(there / "reports/published/study/test.json", capsys)
    names, text = statements(there / "reports/published")
    assert names == ["test"]
    assert text.startswith("One statement tested: ")
    assert "- `other`: not run with today's code and settings\n" in text

    # git brings what is published to another machine, where none of the runs are
    shutil.copytree(there / "reports/published", here / "reports/published")
    snakemake(here, *looked, "reports/study/other.html")
    monkeypatch.chdir(here)
    said = say(capsys, "publish")[1]
    assert said.startswith("published before, and still current: test\n")
    assert say(capsys, "published")[0] == "other: current\ntest: current\n"
    names, text = statements(here / "reports/published")
    assert names == ["other", "test"]
    assert text.startswith("2 statements tested: ")
    assert "have no verdict here" not in text
    verdict = json.loads((here / "reports/published/verdict/test.json").read_text())
    assert verdict["p_holm"] >= verdict["p"]

    check_worse_pages(here, there, capsys)

    # what is published no longer counts once its settings have changed
    (here / "params/study/test.yaml").write_text(yaml.safe_dump(LOOKED | {"looks": [3, 4]}))
    say(capsys, "publish")
    names, text = statements(here / "reports/published")
    assert names == ["other"]
    assert "- `test`: not run with today's code and settings\n" in text

    check_older_code(here, capsys)


def check_worse_pages(here: Path, there: Path, capsys) -> None:
    """Neither a page of fewer seeds nor an older one replaces what is published."""
    # a page of fewer seeds never replaces one of more
    page = here / "reports/published/study/other.json"
    more = page.read_text()
    page.write_text(more.replace('"seeds": 3', '"seeds": 4'))
    said = say(capsys, "publish")[1]
    assert "other is not copied: it has 3 seeds, and the published one 4\n" in said
    page.write_text(more)

    # an older page never replaces a current one
    old = json.loads((there / "reports/study/test.json").read_text())
    old["made"]["fingerprints"]["pretrain"] = "older"
    for end in (".csv", ".md"):
        shutil.copy(there / f"reports/study/test{end}", here / f"reports/study/test{end}")
    (here / "reports/study/test.json").write_text(json.dumps(old))
    said = say(capsys, "publish")[1]
    assert "test is not copied: settings or code of training have changed since" in said
    assert statements(here / "reports/published")[0] == ["other", "test"]
    (here / "reports/study/test.json").unlink()


def check_older_code(folder: Path, capsys) -> None:
    """A study of older code, `other`, does not count, even on the page of all statements."""
    source, out = folder / "reports/study/other.json", folder / "reports/published"
    record = json.loads(source.read_text())
    (folder / "reports/statements.json").write_text(json.dumps({"other": {}}))

    # with a suffix too, a published study is replaced only by one that is not worse
    say(capsys, "publish", "--suffix", "_2")
    foreign = out / "study/other_3.json"
    foreign.write_text(json.dumps(record | {"name": "other_3"}))
    with pytest.raises(SystemExit) as stopped:
        say(capsys, "publish", "--suffix", "_3")
    assert "other_3.json is of the study other_3; choose another suffix" in str(stopped.value.code)
    foreign.unlink()
    kept = (out / "study/other_2.md").read_bytes()
    stale = json.loads(source.read_text())
    stale["made"]["fingerprints"]["pretrain"] = "older"
    for claim in stale["claims"]:
        claim["seeds"] -= 1
    fewer = stale | {"made": record["made"]}
    why = "settings or code of training have changed since"
    for worse, said in (
        (stale, f"other is not copied: {why}; the published one is current\n"),
        (fewer, "other is not copied: it has 2 seeds, and the published one 3\n"),
    ):
        source.write_text(json.dumps(worse))
        assert said in say(capsys, "publish", "--suffix", "_2")[1]
        assert (out / "study/other_2.md").read_bytes() == kept

    shutil.rmtree(out / "study")
    source.write_text(json.dumps(stale))
    said = say(capsys, "publish")[1]
    assert f"other is not current: {why}; its copy says so\n" in said
    mark = "> **May be out of date**: "
    page = (out / "study/other.md").read_text()
    assert page.startswith(f"{mark}{why}.\n\n")
    assert statements(out)[1].startswith(f"{mark}all studies.\n\n")
    assert say(capsys, "published")[0] == f"other: {why}\n"
    assert (out / "study/other.md").read_text() == page

    source.write_text(json.dumps(record))
    say(capsys, "publish")
    assert statements(out)[0] == ["other"]
    assert mark not in statements(out)[1] + (out / "study/other.md").read_text()


def record(published: Path, name: str, prints: dict[str, str], dataset: str = "digits") -> None:
    """Publish a study `mine` that has only its name, its dataset and its fingerprints."""
    conditions = [{"dataset": dataset, "budget": "tiny"}]
    found = {"name": "mine", "conditions": conditions, "made": {"fingerprints": prints}}
    (published / "study").mkdir(parents=True, exist_ok=True)
    (published / f"study/{name}.json").write_text(json.dumps(found))
    (published / f"study/{name}.md").write_text("# Mine\n")


def test_a_published_verdict_says_if_it_is_of_older_settings(params, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(params.parent)
    made = Plan(params, tmp_path / "frozen").made("mine", "tiny")
    folder = params.parent / "reports/published"
    unprepared = {stage: each for stage, each in made.items() if stage != "prepare"}
    record(folder, "elsewhere", made, dataset="photos")  # images of whoever published it
    for name, prints in (("mine", made), ("old", {}), ("unprepared", unprepared)):
        record(folder, name, prints)
    (folder / "verdict").mkdir()
    for name in ("mine", "old"):
        (folder / f"verdict/{name}.json").write_text("{}")
    (folder / "statements.md").write_text("2 statements tested.\n")

    old = "old: it does not say which settings and code made it\n"
    old += "unprepared: it does not say which settings and code prepared its images\n"
    other = "elsewhere: its dataset photos is not one of this project\n"
    assert say(capsys, "published")[0] == f"{other}mine: current\n{old}"
    assert (folder / "study/mine.md").read_text() == "# Mine\n"
    assert (folder / "study/old.md").read_text().startswith("> **May be out of date**: ")
    assert "1 of 2 studies (old)" in (folder / "statements.md").read_text()
    path = params / "study/mine.yaml"
    path.write_text(yaml.safe_dump(LOOKED | {"settings": ["training.epochs=3"], "title": "New"}))
    assert "mine: settings or code of training have changed since\n" in say(capsys, "published")[0]
    again = (folder / "study/mine.md").read_text()
    say(capsys, "published")
    assert (folder / "study/mine.md").read_text() == again  # marked once
    path.write_text(yaml.safe_dump(LOOKED | {"margin": 0.02}))
    assert "mine: settings or code of judging have changed since\n" in say(capsys, "published")[0]
    path.write_text(yaml.safe_dump(LOOKED))
    dataset = params / "dataset/digits.yaml"
    replace(dataset, "validation: 0.1", "validation: 0.6")
    changed = "mine: settings or code of preparing images have changed since\n"
    assert changed in say(capsys, "published")[0]
    replace(dataset, "validation: 0.6", "validation: 0.1")
    assert "mine: current\n" in say(capsys, "published")[0]
    assert (folder / "study/mine.md").read_text() == "# Mine\n"
    path.unlink()
    assert "mine: it cannot be made any more (unknown study 'mine'" in say(capsys, "published")[0]


def test_a_verdict_of_the_studys_name_is_at_its_budget_and_on_its_datasets(
    params, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(params.parent)
    made = Plan(params, tmp_path / "frozen").made("mine", "tiny")
    for name in ("mine", "mine_2"):  # the second was published with a suffix
        record(params.parent / "reports/published", name, made)
    path = params / "study/mine.yaml"
    for change, said in (
        ({"budget": "quick"}, "it ran at budget tiny, and the study is of budget quick"),
        ({"datasets": ["shapes"]}, "it ran on digits, and the study is on shapes"),
    ):
        path.write_text(yaml.safe_dump(LOOKED | change))
        assert say(capsys, "published")[0] == f"mine: {said}\nmine_2: current\n"
    replace(params / "workflow.yaml", "dataset: null", "dataset: digits")
    assert say(capsys, "published")[0] == "mine: current\nmine_2: current\n"


def test_a_folder_without_studies_marks_and_publishes_nothing(params, monkeypatch, capsys):
    monkeypatch.chdir(params.parent)
    folder = params.parent / "reports"
    for page in ("published/study/test", "study/test"):
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        record = {"name": "test", "claims": [], "made": {"fingerprints": {}}}
        (folder / f"{page}.json").write_text(json.dumps(record))
        (folder / f"{page}.md").write_text("# Test\n")
    for words, said in (
        (["published", "--params", "parms"], "parms/study has no study; name the folder of all"),
        (["publish", "--params", "parms"], "parms/study has no study; name the folder of all"),
        (["published", "--published", "reprots"], "reprots/study has no verdict; name the folder"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert str(stopped.value.code).startswith(f"error: {said}")
    assert (folder / "published/study/test.md").read_text() == "# Test\n"
