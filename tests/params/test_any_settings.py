"""Any settings, variant, study or claim is taken, or explained in one sentence."""

import shutil
import string
from pathlib import Path

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from support.models import PARAMS, about, assembled
from support.properties import (
    changed,
    explained,
    few,
    pictures,
    places,
    recipe,
    tried,
    values,
    words,
)
from unlabel.params import claim, compose, study
from unlabel.params.settings import check, load
from unlabel.workflow.plan import Plan


@tried
@given(st.data())
def test_any_value_anywhere_in_the_settings_is_taken_or_explained(data):
    resolved = recipe(
        data.draw(st.sampled_from(["simclr", "moco", "dino", "jigsaw", "mae", "looc"]))
    )
    section = data.draw(
        st.sampled_from(["method", "encoder", "optimizer", "training", "hardware", "finetune"])
    )
    at = data.draw(st.sampled_from(list(places(resolved[section]))))
    wrong = changed(resolved[section], at, data.draw(values))
    explained(section, check, wrong, section)


@few
@given(st.data())
def test_any_number_that_a_method_takes_makes_it_or_is_explained(data):
    resolved = recipe(data.draw(st.sampled_from(["simclr", "moco", "jigsaw"])))
    numbers = [
        key
        for key, value in resolved["method"].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    key = data.draw(st.sampled_from(sorted(numbers)))
    value = data.draw(
        st.integers(1, 64) if isinstance(resolved["method"][key], int) else st.floats(0.01, 2)
    )
    resolved = changed(resolved, ("method", key), value)
    method = explained(key, assembled, resolved, about(pictures(8, (1, 16, 16))))
    assert method is None or sum(p.numel() for p in method.encoder.parameters()) > 0


@tried
@given(st.text(max_size=40))
def test_any_text_is_a_variant_or_explained(text):
    overrides = explained("", compose.split, text)
    assert overrides is None or compose.variant(overrides) == text


names = st.from_regex(r"[a-z_][a-z0-9_.]{0,10}", fullmatch=True)


plain = st.from_regex(r"[A-Za-z0-9.\-]{0,8}", fullmatch=True)


lists = st.lists(plain, max_size=3).map(lambda each: f"[{','.join(each)}]")


@tried
@given(st.lists(st.tuples(names, plain | lists), max_size=4, unique_by=lambda each: each[0]))
def test_a_variant_says_just_its_overrides(pairs):
    overrides = [f"{name}={value}" for name, value in pairs]
    assert compose.split(compose.variant(overrides)) == sorted(overrides)


@tried
@given(data=st.data())
def test_any_change_to_a_study_is_taken_or_explained(data, tmp_path):
    params = tmp_path / "params"
    if not params.exists():
        shutil.copytree(PARAMS, params)
    source = data.draw(st.sampled_from(["batch_norm", "labels", "best", "not_contrastive"]))
    content = yaml.safe_load((params / f"study/{source}.yaml").read_text())
    at = data.draw(st.sampled_from(list(places(content))))
    content = changed(content, at, data.draw(values))
    (params / "study/changed.yaml").write_text(yaml.safe_dump(content))
    found = explained("", study.read, params, "changed")
    if found:
        explained("", found.runs, params, "quick")
        explained("", found.resolved_claims, params)
        explained("", found.metrics)


odd = st.one_of(values, st.sampled_from(["all", "digits", ["simclr"], [0, 1, 2], {"base": []}]))


claims = st.fixed_dictionaries(
    {"says": st.just("so")},
    optional={
        "higher": st.sampled_from(["simclr", "simclr[base]", "random.knn", "nobody"]) | values,
        "than": st.sampled_from(["random", "rotation", "0.5"]) | values,
        "same": values,
        "by": values,
        "metric": st.sampled_from(["linear", "log.loss", "no_such"]) | values,
    },
)


documents = st.fixed_dictionaries(
    {},
    optional={
        "title": st.just("T") | odd,
        "question": st.just("Q?") | odd,
        "datasets": st.just(["digits"]) | odd,
        "seeds": st.just([0, 1, 2]) | odd,
        "metric": st.sampled_from(["linear", "knn", "nothing"]) | odd,
        "methods": st.just(["simclr"]) | odd,
        "references": st.just(["random"]) | odd,
        "arms": st.dictionaries(words, st.just([]) | odd, max_size=2) | odd,
        "settings": st.lists(st.sampled_from(["training.epochs=1", "no.such=1", "a"]) | odd) | odd,
        "statement": st.just("S.") | odd,
        "claims": st.lists(claims, max_size=2) | odd,
        "transfer": odd,
        "source": odd,
        "unknown": odd,
    },
)


@tried
@given(document=documents | values)
@example(
    document={"title": "T", "datasets": ["digits"], "seeds": [0], "metric": "linear"}
)  # no question
@example(
    document={
        **{"title": "T", "question": "Q?", "datasets": ["digits"], "seeds": [0, 1, 2]},
        **{"metric": "linear", "methods": ["simclr"], "references": ["random"], "statement": "S."},
        "claims": [{"says": "so", "higher": "simclr", "than": "random"}],
    }
)
def test_any_document_is_planned_or_explained(document, tmp_path):
    """As the whole workflow plans a study, with its runs, its claims and what they measure."""
    params = tmp_path / "params"
    if not params.exists():
        shutil.copytree(PARAMS, params)
    (params / "study/any.yaml").write_text(yaml.safe_dump(document))
    plan = Plan(params, tmp_path / "frozen")
    told = explained("", plan.study, "any", "tiny")
    if told is not None:
        assert load(Path(told["settings"]))["runs"]


@tried
@given(text=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_a_study_or_explained(text, tmp_path):
    (tmp_path / "study").mkdir(exist_ok=True)
    (tmp_path / "study/any.yaml").write_bytes(text)
    assert explained("", study.read, tmp_path, "any") is None


@tried
@given(st.text(string.ascii_letters + string.digits + "[]+-._ ()", max_size=30))
def test_any_text_is_a_claims_side_or_explained(text):
    sides = {"says": "so", "higher": text, "than": "random"}
    parsed = explained("claim 1", claim.parse, sides, "linear", "claim 1")
    assert parsed is None or claim.parse(parsed.written(), "linear", "claim 1") == parsed
