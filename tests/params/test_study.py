"""Studies: their claims, what is wrong with them, and their statistics."""

import shutil
from pathlib import Path

import pytest
import yaml

from support.models import PARAMS
from unlabel.errors import UserError
from unlabel.params import compose, measured, study
from unlabel.params.claim import Term
from unlabel.workflow.plan import Plan

BATCH = {
    "title": "Batch size",
    "question": "Which methods need large batches?",
    "statement": "SimCLR needs large batches; BYOL does not.",
    "source": {"title": "Bootstrap your own latent", "arxiv": "2006.07733", "where": "figure 3a"},
    "datasets": ["digits"],
    "seeds": [0, 1, 2],
    "metric": "lowshot_1",
    "settings": ["training.images=512"],
    "methods": ["simclr", "byol"],
    "arms": {64: ["training.batch=64", "optimizer.lr=5e-4"], 256: ["training.batch=256"]},
    "references": ["random"],
    "claims": [
        {"says": "It gains", "higher": "simclr[256]", "than": "simclr[64]", "by": 0.01},
        {
            "says": "It gains more than BYOL",
            "higher": "simclr[256] - simclr[64]",
            "than": "byol[256] - byol[64]",
            "metric": "linear",
        },
        {"says": "BYOL does not", "same": "byol[256]", "as": "byol[64]", "within": 0.02},
    ],
}


@pytest.fixture
def params(tmp_path):
    return shutil.copytree(PARAMS, tmp_path / "params")


def write(params: Path, **content) -> None:
    (params / "study/mine.yaml").write_text(yaml.safe_dump(BATCH | content))


def test_runs_of_a_study(params):
    write(params, arms=BATCH["arms"] | {"alone": {"methods": ["simclr"], "overrides": []}})
    runs = study.read(params, "mine").runs(params, "tiny")
    assert len(runs) == 3 * (3 + 2 + 1)
    variants = {(run.method, arm): run.variant for arm, run in runs}
    assert variants["simclr", "64"] == "optimizer.lr=5e-4+training.batch=64+training.images=512"
    assert variants["simclr", "alone"] == variants["random", "base"] == "training.images=512"
    assert ("byol", "alone") not in variants


def test_an_arm_overrides_what_all_arms_have(params):
    write(params, claims=[], statement="", arms={"few": ["training.images=128"], "base": []})
    runs = study.read(params, "mine").runs(params, "tiny")
    assert {arm: run.variant for arm, run in runs} == {
        "few": "training.images=128",
        "base": "training.images=512",
    }


def test_terms_find_their_arms(params):
    write(
        params,
        arms={"plain": [], "64": ["training.batch=64"]},
        claims=[{"says": "so", "higher": "simclr", "than": "random.knn - byol[64]"}],
    )
    found = study.read(params, "mine").resolved_claims(params)[0]
    assert found.terms == [
        Term("simclr", "plain", "lowshot_1"),
        Term("random", "base", "knn"),
        Term("byol", "64", "lowshot_1"),
    ]


SO = {"says": "so", "than": "simclr[64]"}
ALIKE = {"says": "so", "same": "simclr[64]", "within": 0.01, "metric": "knn"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"claimz": []}, "study.mine.claimz is not a setting .* did you mean 'claims'"),
        ({"seeds": [0]}, "has claims, but one seed, .* give it 3 or more"),
        ({"seeds": [0, 1]}, "has claims, but 2 seeds"),
        ({"seeds": [0, 1, 1]}, "has a seed twice"),
        ({"seeds": []}, "has nothing to run"),
        ({"looks": [3, 6]}, "study.mine has both seeds and looks; leave one of them out"),
        ({"margin": 0}, "study.mine.margin is 0, but must be above 0"),
        ({"budget": "studdy"}, "unknown budget 'studdy': did you mean 'study'"),
        ({"datasets": []}, "has nothing to run"),
        ({"datasets": ["digit"]}, "unknown dataset 'digit': did you mean 'digits'"),
        ({"claims": []}, "has a statement, but no claims"),
        ({"statement": ""}, "has claims, but no statement"),
        ({"arms": {"64": "training.batch=64"}}, "arms.64 has the overrides 'training.batch=64'"),
        ({"arms": {"64": {"overridez": []}}}, "arms.64.overridez is not known"),
        ({"arms": {"64": ["training.bach=64"]}, "claims": [], "statement": ""}, "training.bach"),
        ({"settings": ["training.images=128"]}, "training.batch is 256, but there are only 128"),
        ({"arms": {"a]": []}}, "has a bracket in its label"),
        ({"source": {"titel": "x"}}, "source.titel is not known; did you mean 'title'"),
        ({"source": 3}, "source is 3, but must be"),
        ({"source": {"title": "x", "arxiv": 2103.03230}}, "arxiv is 2103.0323, but must be a text"),
        ({"source": {"title": None}}, "source.title is None, but must be a text"),
        ({"left_out": {"simclr": "no"}}, "study.mine.left_out is what the plan finds"),
        ({"transfer": ["digit"]}, "unknown dataset 'digit'"),
        ({"references": ["randon"]}, "unknown method 'randon': did you mean 'random'"),
        ({"seeds": [-1, 0, 1]}, "study.mine.seeds has -1, but a seed must be 0 or more"),
        ({"datasets": ["digits", "digits"]}, "study.mine.datasets has 'digits' twice"),
        ({"transfer": ["mnist", "mnist"]}, "study.mine.transfer has 'mnist' twice"),
        ({"methods": ["byol", "byol"]}, "study.mine.methods has 'byol' twice"),
        ({"methods": "simclr"}, "methods is 'simclr', but must be a list of methods, or all"),
        ({"probes": ["fewshot", "fewshot"]}, "study.mine.probes has 'fewshot' twice"),
        ({"settings": ["a=1", "a=2"]}, "study.mine.settings has 'a' twice"),
        ({"arms": ["a", "b"]}, "study.mine.arms is .'a', 'b'., but must be labels"),
        ({"arms": None}, "study.mine.arms is None, but must be labels"),
        ({"arms": {0x40: [], "64": []}}, "the key '64' is there twice"),
        ({"arms": {"a": ["a=1", "b=1", "a=2"]}}, "arms.a has 'a' twice; leave one of them out"),
        ({"arms": {"a": {"methods": ["byol", "byol"]}}}, "arms.a.methods has 'byol' twice"),
        ({5: 3}, "mine.yaml has the key 5, but settings have names"),
        ({"repeats": "mine"}, "repeats names 'mine', which tests no statement of its own"),
        ({"repeats": "not_contrastive_cifar10"}, "which tests no statement of its own"),
        ({"repeats": "leaderboard"}, "which tests no statement of its own"),
        ({"claims": [ALIKE | {"as": "simclr[64]"}]}, "'so' has the same settings on both sides"),
        (
            {
                "arms": BATCH["arms"] | {"also": BATCH["arms"][64]},
                "claims": [ALIKE | {"as": "simclr[also]"}],
            },
            r"same settings on both sides \(simclr.64..knn and simclr.also..knn\); compare arms",
        ),
        (
            {
                "arms": {"64": ["optimizer.lr=2e-3"], "also": ["optimizer.lr=0.002"]},
                "claims": [SO | {"higher": "simclr[64] + 1", "than": "2 + simclr[also]"}],
            },
            "the claim 'so' has the same settings on both sides",
        ),
        ({"claims": [SO | {"says": ["so"], "higher": "byol[64]"}]}, "says is .'so'., but must be"),
        ({"claims": ["so"]}, "claim 1 of the study 'Batch size' is 'so'"),
        ({"claims": [SO | {"higher": "moco[64]"}]}, "about 'moco', which the study does not run"),
        ({"claims": [SO | {"higher": "simclr[65]"}]}, "simclr has no arm '65'; known are: 256, 64"),
        (
            {"claims": [SO | {"higher": "simclr"}]},
            "does not say which arm of simclr .* simclr\\[64",
        ),
        (
            {"claims": [SO | {"higher": "byol[64].linaer"}]},
            "metric 'linaer', which no run has; did you mean 'linear'",
        ),
        ({"metric": "lowshot_11"}, "metric 'lowshot_11', which no run has; did you mean"),
        ({"metric": "log.encoder"}, "metric 'log.encoder', which no run has; known are: .*loss"),
        ({"metric": "run.commit"}, "metric 'run.commit', which no run has; known are: images"),
        (
            {"claims": [SO | {"higher": "simclr[64].log.contrastive_acuracy"}]},
            "which no run has; did you mean 'log.contrastive_accuracy'",
        ),
        (
            {"claims": [SO | {"higher": "simclr[64].run.second"}]},
            "which no run has; did you mean 'run.seconds'",
        ),
    ],
)
def test_a_broken_study_is_explained_before_anything_is_trained(params, tmp_path, content, said):
    (params / "study/mine.yaml").write_text(yaml.safe_dump(BATCH | content))
    with pytest.raises(UserError, match=said) as error:
        Plan(params, tmp_path / "frozen").study("mine", "tiny")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("looks", [[], 6, [6, 6], [12, 6], [2, 6], ["6"], [True, 6], [3, 1001]])
def test_looks_are_growing_numbers_of_seeds(params, looks):
    content = {key: value for key, value in BATCH.items() if key != "seeds"}
    (params / "study/mine.yaml").write_text(yaml.safe_dump(content | {"looks": looks}))
    with pytest.raises(UserError, match="must be growing numbers of seeds, 3 to 1,000"):
        study.read(params, "mine")


def test_a_statement_that_is_repeated_counts_once(params):
    write(params)
    assert {"mine", "not_contrastive"} < set(study.stated(params))
    assert "not_contrastive_cifar10" not in study.stated(params)
    write(params, repeats="batch_size")
    assert "mine" not in study.stated(params)
    study.read(params, "mine")
    write(params, repeats="batch_sise")
    with pytest.raises(UserError, match="did you mean 'batch_size'"):
        study.read(params, "mine")


@pytest.mark.parametrize(
    ("metric", "stages"),
    [
        ("linear", {"probe"}),
        ("finetune_10", {"finetune"}),
        ("log.loss", set()),
        ("run.seconds", set()),
        ("digits_knn", {"transfer"}),
    ],
)
def test_only_the_stages_that_a_metric_needs_are_needed(metric, stages):
    needed = measured.needs([metric], ["digits"])
    assert {stage for stage, wanted in needed.items() if wanted} == stages


def test_a_study_needs_just_the_files_it_reads(params, tmp_path):
    plan = Plan(params, tmp_path / "frozen")
    write(params)
    files = plan.inputs("mine", "tiny")
    assert len(files) == len(set(files)) == 3 * 5 * (3 + len(compose.probes(params)))
    assert not [file for file in files if "finetune" in file or "transfer" in file]
    write(params, metric="finetune_1")
    plan = Plan(params, tmp_path / "frozen")
    assert "metrics/finetune.json" in plan.inputs("mine", "tiny")[-1]
