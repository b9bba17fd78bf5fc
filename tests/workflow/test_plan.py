"""A plan is kept and read again, and says what its runs will measure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from support.models import PARAMS
from support.project import STUDY
from support.versions import replace
from unlabel.analysis import frozen_study
from unlabel.errors import UserError
from unlabel.fingerprint.reach import PACKAGE
from unlabel.params import study
from unlabel.run import Run
from unlabel.workflow.freeze import is_whole, without_code
from unlabel.workflow.plan import Plan

AGAIN = """
import sys
from pathlib import Path
from types import SimpleNamespace
from unlabel.params import study
from unlabel.workflow.plan import Plan
params = Path(sys.argv[1])
plan = Plan.current(params, Path(sys.argv[2]))
asked = plan.for_dataset(study.read(params, "mine"), "tiny")
print(plan.report(asked, "tiny"))
print(plan.page(asked, "tiny", "simclr"))
print(plan.study("mine", "tiny"))
print([name for name in ("torch", "scipy", "pandas") if name in sys.modules])
"""


@pytest.fixture
def params(tmp_path):
    folder = shutil.copytree(PARAMS, tmp_path / "params")
    (folder / "study/mine.yaml").write_text(yaml.safe_dump(STUDY | {"transfer": ["shapes"]}))
    return folder


@pytest.fixture
def plan(params, tmp_path, monkeypatch):
    monkeypatch.delenv("UNLABEL_PLAN", raising=False)
    yield Plan.current(params, tmp_path / "frozen")
    os.environ.pop("UNLABEL_PLAN", None)


def test_a_plan_that_was_made_during_an_edit_is_not_kept(params, plan, tmp_path):
    recipe = params / "dataset/digits.yaml"
    before = recipe.read_text()
    recipe.write_text(before.replace("validation: 0.1", "validation: 0.2"))
    edited = plan.dataset("digits")["settings"]
    recipe.write_text(before)  # as somebody takes an edit back
    plan.keep()
    del os.environ["UNLABEL_PLAN"]
    again = Plan.current(params, tmp_path / "frozen")
    assert again.dataset("digits")["settings"] != edited
    again.keep()
    assert again.kept.path.exists()


def test_a_kept_plan_says_the_same_and_loads_no_torch(params, plan, tmp_path):
    asked = study.read(params, "mine")
    expected = [plan.report(asked, "tiny"), plan.page(asked, "tiny", "simclr")]
    expected.append(plan.study("mine", "tiny"))
    plan.keep()
    environment = {**os.environ, "PYTHONPATH": str(PARAMS.parent / "ssl")}
    del environment["UNLABEL_PLAN"]
    command = [sys.executable, "-c", AGAIN, str(params), str(tmp_path / "frozen")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [*map(str, expected), "[]"], done.stderr


FACTS = """
import sys
from pathlib import Path
from unlabel.params import study
from unlabel.run import Run
from unlabel.workflow.plan import Plan
plan = Plan.current(Path(sys.argv[1]), Path(sys.argv[2]))
plan.add(Run("tiny", "digits", "simclr", "base", 0))
plan.keep()
print(plan.datasets.expected("digits").size)
"""


REFUSING = """    @classmethod
    def check(cls, settings, size, seen):
        raise ValueError("no such image")
"""


@pytest.mark.parametrize(
    ("module", "before", "after", "said"),
    [
        ("dataset/digits", "return (8 * self.scale", "return (9 * self.scale", "(18, 16)"),
        ("encoder/resnet_mini", "    def maps(", f"{REFUSING}\n    def maps(", "no such image"),
    ],
)
def test_a_plan_is_not_kept_for_other_code_of_datasets_and_encoders(
    params, tmp_path, module, before, after, said
):
    code = shutil.copytree(PACKAGE, tmp_path / "ssl/unlabel")
    environment = {**os.environ, "PYTHONPATH": str(code.parent)}
    command = [sys.executable, "-c", FACTS, str(params), str(tmp_path / "frozen")]

    def facts() -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.stdout + done.stderr

    assert facts() == "(16, 16)\n"
    replace(code / f"{module}.py", before, after)
    assert said in facts()


JOB = """
import sys
from pathlib import Path
from types import SimpleNamespace
from unlabel.errors import UserError
from unlabel.params import study
from unlabel.run import Run
from unlabel.workflow.plan import Plan
params = Path(sys.argv[1])
plan = Plan.current(params, Path(sys.argv[2]))
asked = study.read(params, "mine")
run = Run("tiny", "digits", "simclr", "base", 0)
print(plan.of(run, "probe"), plan.of(run, "pretrain"))
print(plan.page(asked, "tiny", "simclr"), plan.statements("tiny"), plan.bench())
print(plan.study("mine", "tiny"))
try:
    plan.add(Run("tiny", "digits", "byol", "base", 7))
except UserError as error:
    print(error)
"""


def test_a_job_elsewhere_plans_with_the_code_that_was_planned(params, plan, tmp_path):
    """Nothing is asked of most stages before the plan is kept; then all code is edited."""
    for name in study.stated(params):
        (params / f"study/{name}.yaml").unlink()
    asked, run = study.read(params, "mine"), Run("tiny", "digits", "simclr", "base", 0)
    plan.report(asked, "tiny")
    plan.statements("tiny")
    plan.bench()
    plan.frozen_study("mine", "tiny")
    plan.keep()
    code = shutil.copytree(PACKAGE, tmp_path / "ssl/unlabel")
    for path in code.rglob("*.py"):
        with path.open("a") as file:
            file.write("\nassert True\n")  # a statement that counts
    environment = {**os.environ, "PYTHONPATH": str(code.parent)}
    command = [sys.executable, "-c", JOB, str(params), str(tmp_path / "frozen")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    pages = plan.page(asked, "tiny", "simclr"), plan.statements("tiny"), plan.bench()
    assert done.stdout.splitlines() == [
        " ".join(map(str, (plan.of(run, "probe"), plan.of(run, "pretrain")))),
        " ".join(map(str, pages)),
        str(plan.study("mine", "tiny")),
        "this job is not in the plan of its workflow; start again",
    ], done.stderr


def test_a_plan_whose_settings_are_damaged_is_made_again(params, plan, tmp_path):
    asked = study.read(params, "mine")
    first = plan.report(asked, "tiny")
    plan.keep()
    del os.environ["UNLABEL_PLAN"]
    assert Plan.current(params, tmp_path / "frozen").entries == without_code(plan.entries)
    Path(first["settings"]).write_text("runs: []")
    again = Plan.current(params, tmp_path / "frozen")
    assert again.entries == {}
    assert again.report(asked, "tiny") == first
    assert is_whole(Path(first["settings"]))


def test_a_frozen_study_says_what_its_metrics_mean(params, plan):
    found = frozen_study.read(Path(plan.study("mine", "tiny")["settings"]))
    assert found.describe("shapes_linear_hue").heading == "linear accuracy for hue, on shapes (%)"
    assert found.describe("finetune_10").share
    assert found.declared.column("accuracy").title == "accuracy at the pretext task"
    assert found.methods["simclr"].arxiv == "2002.05709"
    assert found.methods["random"].family == "reference"


def test_a_frozen_study_says_how_many_settings_were_tried_at_its_budget(plan):
    asked = study.Study("T", "Q?", ["digits"], [0], "linear", methods=["simclr", "random"])
    for budget, tried in (("quick", 5), ("tiny", None)):
        found = frozen_study.read(Path(plan.report(asked, budget)["settings"])).methods
        assert (found["simclr"].tried, found["random"].tried) == (tried, None)


def test_what_a_method_is_about_may_come_from_another_recipe(params, plan):
    (params / "method/mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - simclr\nabout:\n  title: Mine\n"
    )
    asked = study.Study("T", "Q?", ["digits"], [0], "linear", methods=["mine"])
    about = frozen_study.read(Path(plan.report(asked, "tiny")["settings"])).methods["mine"]
    assert (about.title, about.arxiv) == ("Mine", "2002.05709")


def test_a_page_of_a_method_that_does_not_run_is_refused(params, plan):
    asked = study.read(params, "mine")
    with pytest.raises(UserError, match="has no method 'simclrr'; did you mean 'simclr'"):
        plan.page(asked, "tiny", "simclrr")


def test_a_study_that_does_not_fit_leaves_the_other_statements(params, plan):
    for name in study.stated(params):
        (params / f"study/{name}.yaml").unlink()
    claims = {"statement": "so", "seeds": [0, 1, 2]}
    claims |= {"claims": [{"says": "so", "higher": "simclr", "than": "random"}]}
    for name, arms in (("small", {"base": []}), ("large", {"large": ["training.batch=4096"]})):
        whole = STUDY | claims | {"arms": arms, "transfer": []}
        (params / f"study/{name}.yaml").write_text(yaml.safe_dump(whole))
    names, left_out = plan.stated("tiny")
    assert names == ["small"]
    assert "only 256 images" in left_out["large"]
    assert plan.statements("tiny")["settings"]
    # what it lacked may be there at the next call
    first = Plan.current(params, plan.frozen)
    first.stated("tiny")
    first.keep()
    os.environ.pop("UNLABEL_PLAN")
    again = Plan.current(params, plan.frozen)
    assert "study tiny/small" in again.entries
    assert not [key for key in again.entries if key.startswith(("stated", "statements"))]
    (params / "study/small.yaml").unlink()
    with pytest.raises(UserError, match="no study with a statement can be judged; large: "):
        Plan(params, plan.frozen).stated("tiny")


def test_who_follows_a_training_is_no_part_of_it(params, plan, tmp_path, monkeypatch):
    run, untrained = (Run("tiny", "digits", name, "base", 0) for name in ("simclr", "random"))
    config = params / "config.yaml"

    def planned(*change: str) -> Plan:
        config.write_text(config.read_text().replace(*change))
        found = Plan.current(params, tmp_path / "frozen")
        found.add(run)
        found.add(untrained)
        return found

    trained, not_trained = ({**vars(each), "seed": "0"} for each in (run, untrained))
    before = planned("", "").of(run, "pretrain")
    followed = planned("loggers: []", "loggers: [dvclive, wandb]")
    assert followed.of(run, "pretrain") == before
    images = followed.monitored()(trained)
    assert images == ["data/prepared/digits/validation.arrow"]
    flags = followed.seen()(trained, SimpleNamespace(validation=images))
    assert flags == ["--validation", images[0], "--loggers", "dvclive", "wandb"]
    assert followed.monitored()(not_trained) == []
    assert followed.seen()(not_trained, SimpleNamespace(validation=[])) == []
    monkeypatch.setitem(sys.modules, "dvclive", None)
    with pytest.raises(UserError, match="names dvclive, which is not installed; install it with"):
        list(followed.fits([run]))
    unseen = planned("every: 3", "every: null")
    assert unseen.monitored()(trained) == []
    assert unseen.of(run, "pretrain") != before
