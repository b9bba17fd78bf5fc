"""Settings: what is wrong in a recipe, an override or a study is said in one sentence."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from support.models import PARAMS, composed
from unlabel.errors import UserError
from unlabel.params import compose, study
from unlabel.params.settings import build, check, load
from unlabel.run import Run
from unlabel.workflow.plan import Plan

RUN = Run("tiny", "digits", "simclr", "base", 0)


@pytest.fixture
def params(tmp_path):
    return shutil.copytree(PARAMS, tmp_path / "params")


@pytest.fixture
def plan(params, tmp_path):
    def make():
        os.environ.pop("UNLABEL_PLAN", None)
        return Plan.current(params, tmp_path / "frozen")

    yield make
    os.environ.pop("UNLABEL_PLAN", None)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (("tiny", "digits", "simclrr", "base"), "unknown method 'simclrr': did you mean 'simclr'?"),
        (("tiny", "digit", "simclr", "base"), "unknown dataset 'digit': did you mean 'digits'?"),
        (("tine", "digits", "simclr", "base"), "unknown budget 'tine': did you mean 'tiny'?"),
        (
            ("tiny", "digits", "simclr", "encoder=resnt18"),
            "unknown encoder 'resnt18': did you mean 'resnet18'?",
        ),
        (
            ("tiny", "digits", "distillation", "encoder@method.teacher=resnt18"),
            "unknown encoder 'resnt18': did you mean 'resnet18'?",
        ),
        (
            ("tiny", "digits", "simclr", "augment@method.augmnt=light"),
            "'augment@method.augmnt=light' overrides method.augmnt, .* mean 'method.augment'?",
        ),
        (
            ("tiny", "digits", "simclr", "method.temperatur=0.1"),
            "overrides method.temperatur, .* did you mean 'method.temperature'?",
        ),
        (
            ("tiny", "digits", "simclr", "method.temperature=hot"),
            "method.temperature is 'hot', but must be a number",
        ),
        (
            ("tiny", "digits", "simclr", "training.epochs=1.5"),
            "training.epochs is 1.5, but must be a whole number",
        ),
        (("tiny", "digits", "simclr", "encoder=resnet19"), "resnet19"),
        (("tiny", "digits", "simclr", "encoder=null"), "unknown encoder 'null': known are: own"),
        (("tiny", "digits", "simclr", "encoder=1"), "unknown encoder '1': known are: own"),
        (
            ("tiny", "digits", "distillation", "encoder@method.teacher=true"),
            "unknown encoder 'true': known are: own",
        ),
        (("tiny", "digits", "simclr", "measure=null"), "measure is None, but must be settings of"),
        (("tiny", "digits", "simclr", "method.augment=null"), "augment is null, but must be"),
        (("tiny", "digits", "simclr", "features.augment=null"), "augment is null, but must be"),
        (("tiny", "digits", "distillation", "method.teacher=null"), "teacher is null, but must be"),
        (("tiny", "digits", "looc", "method.leave_out=null"), "leave_out is null, but must be"),
        (("tiny", "digits", "simclr", "about.title=x"), "cannot be a variant, as no result"),
        (("tiny", "digits", "simclr", "dataset.validation=0.2"), "cannot be a variant"),
        (("tiny", "digits", "simclr", "seed=3"), "cannot be a variant"),
        (("tiny", "digits", "simclr", "rm -rf"), "is not an override"),
        (
            ("tiny", "digits", "simclr", "training.epochs=1+optimizer.lr=1"),
            r"in order: optimizer.lr=1\+training.epochs=1",
        ),
        (
            ("tiny", "digits", "simclr", "optimizer.betas=[0,1],training.epochs=1"),
            r"with \+ for each comma: optimizer.betas=\[0\+1\]\+training.epochs=1",
        ),
    ],
)
def test_a_wrong_run_is_explained_in_one_line(chosen, said):
    with pytest.raises(UserError, match=said) as error:
        compose.settings(PARAMS, *chosen)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        ("method:\n  temperatur: 1\n", "method.temperatur is not a setting .* 'temperature'"),
        ("optimiser:\n  lr: 1\n", "optimiser is not a section .* did you mean 'optimizer'"),
        ("training: {epochs: many}\n", "training.epochs is 'many', but must be a whole number"),
        ("method: {_target_: os.system}\n", "must name something in unlabel"),
        ("method: {_target_: unlabel.method.simclr.SimCRL}\n", "which does not exist"),
        ("method: [1\n", "cannot be composed"),
        ("method: {width: '${no.such}'}\n", "do not resolve"),
    ],
)
def test_a_wrong_recipe_is_explained_in_one_line(params, addition, said):
    recipe = params / "method/simclr.yaml"
    (params / "method/mine.yaml").write_text(
        f"{recipe.read_text().split('method:')[0]}\n{addition}"
        if addition.startswith("method")
        else f"{recipe.read_text()}\n{addition}"
    )
    if "temperatur" in addition:
        text = recipe.read_text().replace("temperature:", "temperatur:")
        (params / "method/mine.yaml").write_text(text)
    for variant in ("base", "encoder=resnet18"):
        with pytest.raises(UserError, match=said) as error:
            compose.settings(params, "tiny", "digits", "mine", variant)
        assert "\n" not in str(error.value)


def test_a_papers_number_without_quotes_is_refused(params):
    recipe = params / "method/simclr.yaml"
    recipe.write_text(recipe.read_text().replace('"2002.05709"', "2103.03230"))
    with pytest.raises(UserError, match=r"about.arxiv is 2103.0323, but must be a text; put it in"):
        compose.settings(params, "tiny", "digits", "simclr", "base")


QUICK = ("quick", "study")


def test_a_recipe_for_a_budget_wins_at_that_budget_alone():
    assert composed("simclr", budget="full")["method"]["width"] == 1024
    assert composed("simclr", budget="quick")["method"]["width"] == 256
    for recipe in (PARAMS / "method").glob("*/*.yaml"):
        wanted = load(recipe).get("method", {})
        got = composed(recipe.stem, budget=recipe.parent.name)["method"]
        assert {key: got[key] for key in wanted if not isinstance(wanted[key], dict)} == {
            key: value for key, value in wanted.items() if not isinstance(value, dict)
        }


@pytest.mark.parametrize(
    ("method", "rates"),
    [("gan", [4e-3, 4e-3]), ("sorting", [1e-2, 8e-3]), ("simclr", [8e-3, 8e-3])],
)
def test_the_budget_of_studies_is_a_longer_quick_with_one_rate(method, rates):
    at = {budget: compose.settings(PARAMS, budget, "digits", method, "base") for budget in QUICK}
    epochs = [settings["training"].pop("epochs") for settings in at.values()]
    assert epochs == [6, 60]
    assert [settings["optimizer"].pop("lr") for settings in at.values()] == rates
    assert at["quick"] == at["study"]


def test_a_list_is_one_override():
    variant = "method.augment.crop.scale=[0.1+0.5]+method.temperature=0.1"
    parts = ["method.augment.crop.scale=[0.1,0.5]", "method.temperature=0.1"]
    assert compose.split(variant) == parts
    assert composed("simclr", variant)["method"]["augment"]["crop"]["scale"] == [0.1, 0.5]
    assert composed("simclr", variant)["method"]["temperature"] == 0.1


@pytest.mark.parametrize("name", compose.names(PARAMS, "study"))
def test_every_study_is_whole(name):
    assert study.read(PARAMS, name).runs(PARAMS, "tiny")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"title": "x", "datasetz": []}, "study.mine.datasetz is not a setting"),
        ({"seeds": "all"}, "study.mine.seeds is 'all', but must be a list"),
        ({"seeds": []}, "has nothing to run"),
        ({"methods": ["simclr", "byool"]}, "unknown method 'byool'"),
    ],
)
def test_a_wrong_study_is_explained(params, content, said):
    whole = load(params / "study/smoke.yaml") | content
    (params / "study/mine.yaml").write_text(yaml.safe_dump(whole))

    def settings():
        for _, run in study.read(params, "mine").runs(params, "tiny"):
            compose.settings(params, run.budget, run.dataset, run.method, run.variant)

    with pytest.raises(UserError, match=said):
        settings()


def test_a_comment_changes_nothing_and_a_value_what_depends_on_it(params, plan):
    stages = ("pretrain", "features", "probe", "finetune")

    def parameters():
        now = plan()
        now.add(RUN)
        return {stage: now.of(RUN, stage) for stage in stages}

    first = parameters()
    recipe = params / "method/simclr.yaml"
    recipe.write_text(recipe.read_text().replace("# Differs", "# A comment\n# Differs"))
    assert parameters() == first

    probe = params / "probe/knn.yaml"
    probe.write_text(probe.read_text().replace("k: 20", "k: 3"))
    second = parameters()
    assert [s for s in stages if second[s] != first[s]] == ["probe"]

    recipe.write_text(recipe.read_text().replace("temperature: 0.2", "temperature: 0.3"))
    third = parameters()
    assert "pretrain" in [s for s in stages if third[s] != second[s]]
    assert third["probe"] == second["probe"]


def test_jobs_go_on_with_the_plan_they_started_with(params, plan):
    main = plan()
    main.add(RUN)
    main.keep()
    before = main.of(RUN, "pretrain")
    recipe = params / "method/simclr.yaml"
    recipe.write_text(recipe.read_text().replace("temperature: 0.2", "temperature: 0.3"))
    job = Plan.current(params, main.frozen)
    assert not job.main
    assert job.of(RUN, "pretrain") == before
    assert load(Path(before["settings"]))["method"]["temperature"] == 0.2


def test_only_ours_is_built(tmp_path):
    with pytest.raises(UserError, match="must name something in unlabel"):
        build({"_target_": "os.system", "command": f"touch {tmp_path}/x"})
    assert not (tmp_path / "x").exists()
    with pytest.raises(UserError, match="which does not exist"):
        check({"_target_": "unlabel.method.nothing.Here"}, "method")


def test_settings_that_cannot_be_read_are_explained(tmp_path):
    with pytest.raises(UserError, match="cannot read the settings"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(UserError, match="is not valid YAML"):
        load(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(UserError, match="holds no settings"):
        load(tmp_path / "list.yaml")
    (tmp_path / "code.yaml").write_text("a: !!python/object/apply:os.getcwd []")
    with pytest.raises(UserError, match="is not valid YAML"):
        load(tmp_path / "code.yaml")
