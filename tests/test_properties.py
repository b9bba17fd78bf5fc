"""What holds of any input, and not just of the examples in the other tests: hypothesis makes them.

Derandomised, so that CI tries the same ones each time.
"""

import copy
import shutil
import string
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from support.models import PARAMS, about, assembled, composed
from unlabel import files, weights
from unlabel.augment import Augment
from unlabel.data.images import UNLABELLED, Images
from unlabel.data.labels import noisy, stratified
from unlabel.errors import UserError
from unlabel.nn.losses import cosine_similarities
from unlabel.params import claim, compose, study
from unlabel.params.settings import build, check, load
from unlabel.run import Run
from unlabel.workflow.engine import records
from unlabel.workflow.plan import Plan

tried = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
few = settings(tried, max_examples=25)

words = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=12)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)


recipe = cache(composed)  # composing takes a tenth of a second


def places(tree: Any, at: tuple = ()) -> Iterator[tuple]:
    """The path to each value inside nested mappings and lists."""
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(tree: Any, at: tuple, value: Any) -> Any:
    tree = copy.deepcopy(tree)
    inner = tree
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return tree


def explained(what: str, call: Callable, *arguments: Any) -> Any:
    """What a call gives; or None, where it raised the one exception it may, which says `what`."""
    try:
        return call(*arguments)
    except UserError as error:
        said = str(error)
    assert what in said
    return None


# Settings


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
plain = st.from_regex(r"[A-Za-z0-9.+\-]{0,8}", fullmatch=True)
lists = st.lists(plain, max_size=3).map(lambda each: f"[{','.join(each)}]")


@tried
@given(st.lists(st.tuples(names, plain | lists), max_size=4, unique_by=lambda each: each[0]))
def test_a_variant_says_just_its_overrides(pairs):
    overrides = [f"{name}={value}" for name, value in pairs]
    assert compose.split(compose.variant(overrides)) == sorted(overrides)


@few
@given(st.tuples(words, words, words, words), st.integers(0, 10**6))
def test_a_runs_folder_names_it(parts, seed):
    run = Run(*parts, seed)
    assert Run.parse(run.folder) == run
    assert Run.of(f"data/runs/{run.folder}/metrics/knn.json") == run


@tried
@given(st.text(max_size=60))
def test_any_text_is_a_run_or_explained(text):
    run = explained("is not a run", Run.parse, text)
    assert run is None or text.split("/")[:4] == run.folder.split("/")[:4]


# Studies


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
    for ask in (found.runs, found.claimed, found.metrics) if found else ():
        explained("", ask, params, *(["quick"] if ask == found.runs else []))


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


# Images and augmentations


def pictures(n: int, shape: tuple[int, int, int]) -> Images:
    draw = torch.Generator().manual_seed(n)
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=draw)
    return Images.of(torch.arange(n), pixels, torch.arange(n) % 4)


shapes = st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40))


@few
@given(
    st.sampled_from(
        [("byol", "augment"), ("byol", "augment_"), ("looc", "augment"), ("dino", "local")]
    ),
    shapes,
    st.integers(1, 5),
)
def test_views_are_images_and_a_draw_makes_one_view(whose, shape, n):
    augment: Augment = build(recipe(whose[0])["method"][whose[1]], "augment")
    x = pictures(n, shape).image / 255
    before = x.clone()
    torch.manual_seed(0)
    draw = augment.draw(x)
    view = explained("square", augment.apply, x, draw)  # others cannot be turned
    if view is None:
        return
    assert torch.equal(x, before)
    assert view.shape[:2] == x.shape[:2]
    assert 0 <= view.min() <= view.max() <= 1
    assert torch.equal(augment.apply(x, draw), view)
    assert all(len(rows) == n for rows in draw.values())


@few
@given(st.integers(1, 20), st.integers(1, 20), st.floats(1e-30, 1e30), st.integers(0, 99))
def test_similarities_are_cosines_however_long_the_vectors(n, dim, length, seed):
    draw = torch.Generator().manual_seed(seed)
    a = torch.randn(n, dim, generator=draw)
    together = cosine_similarities(a * length, a)
    assert together.abs().max() <= 1 + 1e-5


# Labels

labels = st.lists(st.integers(UNLABELLED, 5), min_size=1, max_size=60).map(torch.tensor)


@tried
@given(labels, st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 9))
def test_a_share_of_the_labels_is_that_of_each_class(label, fraction, other, seed):
    assume((label != UNLABELLED).any())
    small, large = sorted((fraction, other))
    chosen = stratified(label, large, seed)
    assert set(stratified(label, small, seed).tolist()) <= set(chosen.tolist())
    assert len(chosen.unique()) == len(chosen)
    for kind in label[label != UNLABELLED].unique():
        members = int((label == kind).sum())
        found = int((label[chosen] == kind).sum())
        assert max(1, large * members - 1) <= found <= max(1, large * members + 1)


@tried
@given(labels, st.floats(0, 1), st.integers(0, 9))
def test_noise_makes_just_that_share_wrong(label, share, seed):
    wrong = noisy(label, share, 6, seed) != label
    known = int((label != UNLABELLED).sum())
    assert int(wrong.sum()) == int(share * known + 0.5)
    assert not wrong[label == UNLABELLED].any()


# Files

paths = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=80).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=8,
).map("/".join)


@tried
@given(path=paths)
def test_a_record_is_found_by_any_outputs_path(path, tmp_path):
    folder = tmp_path / "metadata"
    shutil.rmtree(folder, ignore_errors=True)
    place = records.place(folder, path)
    files.write_text(place, "{}")
    assert list(records.read(folder)) == [(path, place)]


def half_written(path: Path) -> None:
    with files.whole(path) as part:
        part.write_text("half")
        raise ZeroDivisionError


@tried
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40)
)
def test_a_file_of_any_name_is_written_whole(name, tmp_path):
    assume(name not in (".", "..") and len(name.encode()) < 150)
    folder = tmp_path / "out"
    shutil.rmtree(folder, ignore_errors=True)
    files.write_text(folder / name, name)
    assert [path.name for path in folder.iterdir()] == [name]
    with pytest.raises(ZeroDivisionError):
        half_written(folder / name)
    assert [path.read_bytes() for path in folder.iterdir()] == [name.encode()]


kinds = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
tensors = st.dictionaries(
    words, st.tuples(kinds, st.lists(st.integers(0, 4), max_size=3)), max_size=4
).map(lambda all: {name: torch.ones(size, dtype=kind) for name, (kind, size) in all.items()})


@tried
@given(saved=tensors, said=st.dictionaries(words, scalars.filter(lambda x: x == x), max_size=3))
def test_a_checkpoint_gives_back_what_was_written(saved, said, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    assume("sha256" not in said)
    weights.write(path, saved, said)
    first = path.read_bytes()
    read, told = weights.read(path)
    assert told == said
    assert read.keys() == saved.keys()
    assert all(torch.equal(read[name], saved[name]) for name in saved)
    assert all(read[name].dtype == saved[name].dtype for name in saved)
    weights.write(path, read, told)
    assert path.read_bytes() == first
