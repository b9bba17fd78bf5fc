"""A study that is judged several times: only the arms of open claims get more seeds."""

import json
import re
import shutil

import pytest
import yaml

from support.project import LOOKED, digests, project, snakemake, with_one_study
from unlabel.errors import UserError
from unlabel.params import looks, study
from unlabel.workflow.plan import Plan
from unlabel.workflow.planned_looks import LOOK, foreseen, reached, trained_looks

PAGE = "reports/study/test.html"


def planned(folder) -> tuple[str, dict[str, int]]:
    """What a dry run prints, and how many jobs of each rule."""
    printed = snakemake(folder, "-n", "--quiet", "rules", "--", PAGE)
    found = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE))
    return printed, {rule: int(n) for rule, n in found.items() if rule != "total"}


def test_only_open_claims_get_more_seeds_and_nothing_is_made_twice(tmp_path):
    folder = with_one_study(tmp_path, LOOKED)
    printed = snakemake(folder, "--cores", "2", "--config", "looks=1", "--", PAGE)
    assert "6 runs, 6 of them to be trained" in printed
    assert "claims that stay open" not in printed
    record = json.loads((folder / PAGE).with_suffix(".json").read_text())
    assert [(c["word"], c["seeds"]) for c in record["claims"]] == [("holds", 3), ("open", 3)]
    assert "Judged after 3 seeds, as was asked for." in (folder / PAGE).read_text()
    assert not (folder / "data/looks").exists()
    first = digests(folder)
    printed = snakemake(folder, "--cores", "2", PAGE)
    assert "6 runs, none of them to be trained" in printed
    assert first.items() <= digests(folder).items()
    assert "as was asked for" not in (folder / PAGE).read_text()
    assert "claims that stay open may need up to 4 more runs" in printed
    last = printed.splitlines()[-1]  # also of the jobs that the looks have added
    ended = re.fullmatch(r"(\d+) of (\d+) done in .* · see (.*)", last)
    assert ended
    assert ended[1] == ended[2]
    assert ended[3] == PAGE
    runs = folder / "data/runs/tiny/digits"
    seeds = {m: sorted(p.name for p in (runs / m / "base").iterdir()) for m in LOOKED["methods"]}
    assert seeds == {"simclr": ["0", "1", "2"], "rotation": ["0", "1", "2", "3", "4"]}
    record = json.loads((folder / PAGE).with_suffix(".json").read_text())
    assert [(c["word"], c["seeds"]) for c in record["claims"]] == [("holds", 3), ("open", 5)]
    assert record["verdict"] == "holds in part"
    assert record["made"]["fingerprints"].keys() == {"prepare", "pretrain", "look"}
    printed, jobs = planned(folder)
    assert jobs == {}
    assert "Nothing to be done" in printed
    before = digests(folder)
    path = folder / "params/study/test.yaml"
    path.write_text(yaml.safe_dump(LOOKED | {"title": "Other"}))
    assert planned(folder)[1] == {"study": 1}
    # with other looks, the same runs are judged anew, and their seeds are there already
    path.write_text(yaml.safe_dump(LOOKED | {"looks": [3, 5]}))
    snakemake(folder, "--cores", "1", PAGE)
    assert digests(folder) == before
    # the looks on disk name runs that a study with other arms does not have
    path.write_text(yaml.safe_dump(LOOKED | {"settings": ["training.epochs=1"]}))
    assert planned(folder)[1].keys() >= {"pretrain_simclr", "pretrain_rotation", "look"}


def test_looks_made_trains_nothing_if_a_claim_is_added(tmp_path):
    decided = LOOKED | {"claims": LOOKED["claims"][:1]}
    folder = with_one_study(tmp_path, decided)
    snakemake(folder, "--cores", "2", "--", PAGE)
    assert json.loads((folder / "data/looks/tiny/test/3.json").read_text())["following"] == []
    (folder / "params/study/test.yaml").write_text(yaml.safe_dump(LOOKED))
    made = ("--cores", "2", "--config", "looks=made", "--", PAGE)
    before = digests(folder)
    assert "to do: 1 study\n" in snakemake(folder, *made)
    assert digests(folder) == before
    record = json.loads((folder / PAGE).with_suffix(".json").read_text())
    assert [(c["word"], c["seeds"]) for c in record["claims"]] == [("holds", 3), ("open", 3)]


def test_looks_made_judges_by_the_runs_that_are_trained(tmp_path):
    folder = with_one_study(tmp_path, LOOKED)
    other = LOOKED | {"title": "Other", "settings": ["training.epochs=1"]}
    (folder / "params/study/other.yaml").write_text(yaml.safe_dump(other))
    statements = "reports/statements.html"
    made = ("--config", "looks=made", "--")
    printed = snakemake(folder, "--cores", "2", *made, PAGE, fails=True)
    assert (
        "error: none of the first 6 runs of test are trained, and looks=made trains none" in printed
    )
    printed = snakemake(folder, "--cores", "2", *made, statements, fails=True)
    assert "error: no study with a statement can be judged; other: none of the first" in printed
    snakemake(folder, "--cores", "2", "--config", "looks=1", "--", PAGE)
    trained = sorted(folder.glob("data/runs/*/*/*/*/*/run.json"))
    printed = snakemake(folder, "--cores", "2", *made, statements)
    assert "the study other is left out: none of the first 6 runs of other" in printed
    assert sorted(json.loads((folder / "reports/statements.json").read_text())) == ["test"]
    assert "- `other`: none of the first 6 runs" in (folder / "reports/statements.md").read_text()
    assert sorted(folder.glob("data/runs/*/*/*/*/*/run.json")) == trained
    record = json.loads((folder / PAGE).with_suffix(".json").read_text())
    assert record["until"] == 3
    assert "Nothing to be done" in snakemake(folder, "-n", *made, statements)
    # one more look, as far as its runs are there, and the other study
    snakemake(folder, "--cores", "2", "--config", "looks=2", "--", PAGE)
    snakemake(folder, "--cores", "2", "--config", "looks=1", "--", PAGE.replace("test", "other"))
    snakemake(folder, "--cores", "2", *made, statements)
    assert sorted(json.loads((folder / "reports/statements.json").read_text())) == ["other", "test"]
    record = json.loads((folder / PAGE).with_suffix(".json").read_text())
    assert [(c["word"], c["seeds"]) for c in record["claims"]] == [("holds", 3), ("open", 4)]
    # what is left out here is not left out where all is asked for
    assert "left out" not in snakemake(folder, "-n", "--", statements)
    # a run that would be trained anew counts for none
    recipe = folder / "params/method/simclr.yaml"
    recipe.write_text(recipe.read_text().replace("temperature: 0.2", "temperature: 0.3"))
    assert "3 of the first 6 runs" in snakemake(folder, "-n", *made, statements, fails=True)


def test_a_page_whose_looks_are_not_there_is_not_taken_for_current(tmp_path):
    folder = with_one_study(tmp_path, LOOKED | {"looks": [3, 4]})
    snakemake(folder, "--cores", "2", PAGE)
    shutil.rmtree(folder / "data/looks")
    path = folder / "params/study/test.yaml"
    path.write_text(yaml.safe_dump(LOOKED | {"looks": [3, 4], "title": "Other"}))
    assert planned(folder)[1] == {"look": 1, "study": 1}
    assert "1 look   missing (test)" in snakemake(folder, "-n", "--", PAGE)
    snakemake(folder, "--cores", "2", PAGE)
    assert "<title>Other:" in (folder / PAGE).read_text()
    assert planned(folder)[1] == {}
    # looks that were never made, of the same study: Snakemake has no record of them either
    path.write_text(yaml.safe_dump(LOOKED | {"looks": [5, 6]}))
    assert planned(folder)[1].keys() == {"pretrain_simclr", "pretrain_rotation", "look", "study"}
    printed = snakemake(folder, "-n", "--config", "budget=quick", "--", PAGE)
    assert "10 runs, 10 of them to be trained" in printed


def test_looks_of_older_settings_ask_for_no_run(tmp_path):
    folder = with_one_study(tmp_path, LOOKED)
    snakemake(folder, "--cores", "2", PAGE)
    runs = folder / "data/runs/tiny/digits"
    shutil.rmtree(runs)
    path = folder / "params/study/test.yaml"
    path.write_text(yaml.safe_dump(LOOKED | {"settings": ["training.epochs=1"]}))
    snakemake(folder, "--cores", "2", PAGE)
    assert [path.name for path in (runs / "rotation").iterdir()] == ["training.epochs=1"]


def frozen(seeds, sizes):
    runs = [
        {"seed": seed, "folder": f"tiny/digits/{method}/base/{seed}"}
        for method in ("a", "b")
        for seed in seeds
    ]
    return {
        "seeds": list(seeds),
        "looks": sizes,
        "until": None,
        "claims": ["one"],
        "runs": runs,
    }


def test_each_look_needs_the_runs_that_the_one_before_names(tmp_path):
    plan = frozen(range(6), [3, 4, 6])
    needed = {3: ["tiny/digits/a/base/3"], 4: []}
    files = {size: tmp_path / f"{size}.json" for size in needed}
    for size, folders in needed.items():
        files[size].write_text(json.dumps({"following": folders}))
    asked = []

    def look(size):
        asked.append(size)
        return str(files[size])

    assert len(reached(plan, look, until=3).runs) == 6
    assert not asked
    assert [run.seed for run in reached(plan, look, until=4).runs if run.method == "a"] == [
        0, 1, 2, 3,
    ]  # fmt: skip
    assert asked == [3]
    found = reached(plan, look)
    assert (len(found.runs), found.looks) == (7, (str(files[3]), str(files[4])))
    unknown = reached(plan, lambda _: None)
    assert (len(unknown.runs), len(unknown.possible)) == (6, 6)
    assert len(reached(frozen(range(3), []), look).runs) == 6  # all at once


def test_no_look_is_needed_after_the_last_that_is_asked_for(tmp_path):
    plan = frozen(range(6), [3, 4, 6])
    file = tmp_path / "3.json"
    file.write_text('{"following": ["tiny/digits/a/base/3"]}')

    def look(size):
        assert size == 3
        return str(file)

    only_first = plan | {"until": 3}
    assert (len(reached(only_first, look).runs), reached(only_first, look).looks) == (6, ())
    unknown = reached(plan | {"until": 4}, lambda _: None)
    assert [run.seed for run in unknown.possible] == [3, 3]
    assert len(reached(plan | {"until": 4}, look).runs) == 7
    # a later look that is asked for by its path reads the one before it all the same
    assert reached(only_first, look, until=4).looks == (str(file),)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "all", [1]])
def test_looks_that_are_no_number_of_looks_are_refused(value):
    with pytest.raises(UserError, match=f"looks={re.escape(str(value))} must be a number of looks"):
        looks.asked({"looks": value})
    assert looks.asked({"looks": 2}) == 2
    assert looks.asked({"looks": "made"}) == "made"
    assert looks.asked({"looks": None}) is None


def test_the_looks_that_trained_runs_allow_are_counted_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = frozen(range(6), [3, 4, 6]) | {"budget": "tiny", "name": "test"}
    trained = set[tuple[str, int]]()

    def train(method: str, *seeds: int) -> None:
        trained.update((method, seed) for seed in seeds)

    def looks_at(plan: dict) -> int:
        return trained_looks(plan, "now", lambda run: (run.method, run.seed) in trained)

    def look(size: int, *following: int, settings: str = "now") -> None:
        path = tmp_path / LOOK.format(budget="tiny", study="test", seeds=size)
        path.parent.mkdir(parents=True, exist_ok=True)
        folders = [f"tiny/digits/a/base/{n}" for n in following]
        path.write_text(json.dumps({"settings": settings, "following": folders}))

    train("a", 0, 1, 2, 3)
    train("b", 0, 1)
    with pytest.raises(UserError, match="5 of the first 6 runs of test are"):
        looks_at(plan)
    train("b", 2)
    assert looks_at(plan) == 1
    look(3, 3)
    assert looks_at(plan) == 2
    look(4, 4, 5)
    assert looks_at(plan) == 2
    train("a", 4)
    assert looks_at(plan) == 2
    train("a", 5)
    assert looks_at(plan) == 3
    look(3)  # no claim is open
    assert looks_at(plan) == 3
    look(3, settings="before")  # of other claims
    assert looks_at(plan) == 1
    look(3)
    with pytest.raises(UserError, match="9 of the 12 runs of test are"):
        looks_at(plan | {"looks": []})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"settings": "now"}',
        '{"settings": "now", "following": ["tiny/digits/c/base/3"]}',
        '{"settings": "before", "following": ["tiny/digits/a/base/3"]}',
    ],
)
def test_a_look_that_is_damaged_or_of_other_settings_tells_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    plan = frozen(range(6), [3, 4, 6]) | {"budget": "tiny", "name": "test"}
    path = tmp_path / LOOK.format(budget="tiny", study="test", seeds=3)
    path.parent.mkdir(parents=True)
    path.write_text('{"settings": "now", "following": ["tiny/digits/a/base/3"]}')
    assert len(foreseen(plan, "now").runs) == 7
    path.write_text(text)
    assert len(foreseen(plan, "now").runs) == 6


@pytest.fixture
def params(tmp_path):
    folder = project(tmp_path / "project", LOOKED) / "params"
    (folder / "study/mine.yaml").write_text(yaml.safe_dump(LOOKED))
    return folder


def test_a_study_has_its_budget_unless_another_is_asked_for(params, tmp_path):
    plan = Plan(params, tmp_path / "frozen")
    assert plan.frozen_study("mine", "")["budget"] == "tiny"  # the workflow's
    path = params / "study/mine.yaml"
    path.write_text(yaml.safe_dump(LOOKED | {"budget": "study"}))
    plan = Plan(params, tmp_path / "frozen")
    assert plan.frozen_study("mine", "")["budget"] == "study"
    assert plan.frozen_study("mine", "tiny")["budget"] == "tiny"
    without = {name: value for name, value in LOOKED.items() if name != "looks"}
    path.write_text(yaml.safe_dump(without))
    assert study.read(params, "mine").looks == looks.LOOKS
    assert len(study.read(params, "mine").seeds) == looks.LOOKS[-1]
    assert study.read(params, "mine").first.seeds == list(range(looks.LOOKS[0]))
