"""Studies: their claims, what is wrong with them, and their statistics."""

import math
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from support.models import PARAMS
from unlabel.analysis import verdict
from unlabel.analysis.verdict import FAILS, HOLDS, OPEN, holm, judge_claim
from unlabel.errors import UserError
from unlabel.params import claim, compose, study
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


def parsed(**content) -> claim.Claim:
    return claim.parse({"says": "so"} | content, "linear", "claim 1")


def values(table: dict[str, float]):
    return lambda term: table[str(term)]


def frozen(found: claim.Claim) -> dict:
    """A claim as it comes back from a frozen file."""
    return yaml.safe_load(yaml.safe_dump(asdict(found)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", 1.0),
        ("a[64]", 2.0),
        ("a[64].knn", 3.0),
        ("a[no crop, no-flip+].log.loss", 4.0),
        ("a - a[64]", -1.0),
        ("- a + a[64]-a[64].knn", -2.0),
        ("a + 0.5 - 1e-1", 1.4),
        ("a[64].lowshot_0.5", 5.0),
    ],
)
def test_an_expression_is_what_it_says(text, value):
    table = {
        "a": 1.0, "a[64]": 2.0, "a[64].knn": 3.0, "a[no crop, no-flip+].log.loss": 4.0,
        "a[64].lowshot_0.5": 5.0, "b": 0.0,
    }  # fmt: skip
    found = parsed(higher=text, than="b")
    assert found.difference(values(table)) == pytest.approx(value)
    assert str(claim.parse(found.written(), "knn", "claim 1").left) == str(found.left)


@pytest.mark.parametrize(
    "content",
    [
        {"higher": "a[64].knn - b + 1e-1", "than": "0.5", "by": 0.02},
        {"same": "- a + a[no crop, no-flip+].log.loss", "as": "b", "within": 0.1, "metric": "knn"},
    ],
)
def test_a_claim_is_frozen_as_it_was_parsed(content, monkeypatch):
    found = parsed(**content)
    plain = frozen(found)
    monkeypatch.setattr(claim, "parse", None)
    monkeypatch.setattr(claim, "_parts", None)
    assert claim.Claim.of(plain) == found


def test_a_claim_may_be_about_a_number():
    found = parsed(higher="a.log.bound", than=0.7, by=0.1)
    assert found.difference(values({"a.log.bound": 1.0})) == pytest.approx(0.3)
    assert found.margin == 0.1
    assert found.metrics == ["log.bound"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"higher": "a"}, "claim 1 lacks 'than'"),
        ({"same": "a", "as": "b"}, "claim 1 lacks 'within'"),
        ({"than": "b"}, "must say either `higher`"),
        ({"higher": "a", "same": "a", "than": "b"}, "must say either `higher`"),
        ({"higher": "a", "than": "b", "byy": 1}, "claim 1.byy is not part .* did you mean 'by'"),
        ({"higher": "a", "than": "b", "by": "much"}, "claim 1.by is 'much', but must be a number"),
        ({"same": "a", "as": "b", "within": 0}, "must be above 0"),
        ({"higher": "a b", "than": "b"}, "claim 1.higher cannot be read at 'b'"),
        ({"higher": "a * 2", "than": "b"}, "claim 1.higher cannot be read at '\\* 2'"),
        ({"higher": "a[64", "than": "b"}, "claim 1.higher cannot be read at '\\[64'"),
        ({"higher": "a +", "than": "b"}, "claim 1.higher cannot be read at '\\+'"),
        ({"higher": " ", "than": "b"}, "claim 1.higher is empty"),
        ({"higher": ["a"], "than": "b"}, "must be terms joined by"),
        ({"higher": "1", "than": 2}, "compares two numbers"),
        ({"higher": "a", "than": "b", "metric": 3}, "claim 1.metric is 3"),
    ],
)
def test_a_claim_that_cannot_be_read_is_explained(content, said):
    with pytest.raises(UserError, match=said) as error:
        parsed(**content)
    assert "\n" not in str(error.value)


def test_runs_of_a_study(params):
    write(params, arms=BATCH["arms"] | {"alone": {"methods": ["simclr"], "overrides": []}})
    runs = study.read(params, "mine").runs(params, "tiny")
    assert len(runs) == 3 * (3 + 2 + 1)
    variants = {(run.method, arm): run.variant for arm, run in runs}
    assert variants["simclr", "64"] == "optimizer.lr=5e-4,training.batch=64,training.images=512"
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"claimz": []}, "study.mine.claimz is not a setting .* did you mean 'claims'"),
        ({"seeds": [0]}, "has claims, but one seed, .* give it 3 or more"),
        ({"seeds": [0, 1]}, "has claims, but 2 seeds"),
        ({"seeds": [0, 1, 1]}, "has a seed twice"),
        ({"seeds": []}, "has nothing to run"),
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
        ({"transfer": ["digit"]}, "unknown dataset 'digit'"),
        ({"references": ["randon"]}, "unknown method 'randon': did you mean 'random'"),
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
    write(params, **content)
    with pytest.raises(UserError, match=said) as error:
        Plan(params, tmp_path / "frozen").study("mine", "tiny")
    assert "\n" not in str(error.value)


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
    needed = study.needs([metric], ["digits"])
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


# The statistics, against scipy's.

DRAWS = [
    ([0.021, 0.034, 0.018], 0.0),
    ([0.021, 0.034, 0.018], 0.03),
    ([-0.02, 0.01, -0.015, 0.001, -0.03], 0.0),
    ([-0.02, 0.01, -0.015, 0.001, -0.03], 0.02),
    ([0.4, 0.41, 0.39, 0.395], 0.01),
]


@pytest.mark.parametrize(("differences", "margin"), DRAWS)
def test_higher_is_students_test(differences, margin):
    found = judge_claim(parsed(higher="a", than="b", by=margin), "digits", differences)
    test = stats.ttest_1samp(differences, margin, alternative="greater")
    assert found.p_for == pytest.approx(test.pvalue)
    assert found.p_against == pytest.approx(1 - test.pvalue)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (found.effect.low, found.effect.high) == pytest.approx((low, high))


@pytest.mark.parametrize("differences", [d for d, _ in DRAWS])
@pytest.mark.parametrize("within", [0.01, 0.05, 1.0])
def test_same_is_two_one_sided_tests(differences, within):
    found = judge_claim(parsed(same="a", **{"as": "b"}, within=within), "digits", differences)

    def p(at, side):
        return stats.ttest_1samp(differences, at, alternative=side).pvalue

    assert found.p_for == pytest.approx(max(p(-within, "greater"), p(within, "less")))
    outside = min(1, 2 * min(p(within, "greater"), p(-within, "less")))
    assert found.p_against == pytest.approx(outside)
    # Two one-sided tests accept just where the 90 % interval lies inside the margin.
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert (found.p_for < 0.05) == (-within < low and high < within)


def test_pairing_by_seed_removes_what_the_seed_decides():
    seed = np.array([0.0, 0.1, 0.2, 0.3])
    noise = np.array([0.001, -0.001, 0.002, 0.0])
    claimed = parsed(higher="a", than="b")
    paired = judge_claim(claimed, "digits", list((seed + 0.01 + noise) - seed))
    assert paired.p_for == pytest.approx(
        stats.ttest_rel(seed + 0.01 + noise, seed, alternative="greater").pvalue
    )
    assert paired.p_for < 0.01 < stats.ttest_ind(seed + 0.01 + noise, seed).pvalue


def test_seeds_that_agree_wholly():
    assert judge_claim(parsed(higher="a", than="b"), "digits", [0.0] * 3).word == OPEN
    assert judge_claim(parsed(higher="a", than="b"), "digits", [0.1] * 3).word == HOLDS
    assert judge_claim(parsed(higher="a", than="b"), "digits", [-0.1] * 3).word == FAILS
    within = parsed(same="a", **{"as": "b"}, within=0.05)
    assert judge_claim(within, "digits", [0.0] * 3).word == HOLDS
    assert judge_claim(within, "digits", [0.1] * 3).word == FAILS


def test_a_statement_holds_if_all_its_claims_do():
    rng = np.random.default_rng(0)
    claimed = parsed(higher="a", than="b")
    for _ in range(50):
        judged = [
            judge_claim(claimed, "digits", list(rng.normal(rng.choice([-0.05, 0, 0.05]), 0.02, 5)))
            for _ in range(rng.integers(1, 5))
        ]
        found = verdict.verdict(judged)
        p_for = max(each.p_for for each in judged)
        p_against = min(1, len(judged) * min(each.p_against for each in judged))
        assert (found.p_for, found.p_against) == (p_for, p_against)
        assert found.p == min(1, 2 * min(p_for, p_against))
        words = {HOLDS: p_for < 0.025, FAILS: p_against < 0.025}
        assert found.word == next((word for word, true in words.items() if true), OPEN)


def test_holm_against_a_transcription():
    """Step down: the smallest is compared with alpha / m, the next with alpha / (m - 1), ..."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.uniform(size=rng.integers(1, 8)) ** 3
        corrected = holm(p.tolist())
        for alpha in (0.01, 0.05, 0.2):
            rejected, m = set(), len(p)
            for rank, at in enumerate(np.argsort(p)):
                if p[at] > alpha / (m - rank):
                    break
                rejected.add(int(at))
            assert {at for at in range(m) if corrected[at] <= alpha} == rejected
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_errors_are_as_rare_as_they_should_be():
    """Where nothing is true, at most one in twenty verdicts is wrong."""
    rng = np.random.default_rng(1)
    claimed = parsed(higher="a", than="b")
    words = [judge_claim(claimed, "digits", list(rng.normal(0, 1, 5))).word for _ in range(4000)]
    wrong = 1 - words.count(OPEN) / len(words)
    assert wrong < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(words))
    assert wrong > 0.03  # and they are no rarer than that costs
