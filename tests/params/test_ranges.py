"""Each number of each recipe has a range: what lies outside is refused before anything starts."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from math import inf, nan
from typing import Any, get_args

import pytest
import torch

from support.models import METHODS, PARAMS, about, assembled, composed, noise
from unlabel.errors import UserError
from unlabel.params import compose
from unlabel.params.settings import build, check, load, types
from unlabel.training.loop import Training, fit

SECTIONS = ("hardware", "training", "optimizer", "encoder", "method", "features", "transfer")
WRONG = (-1, -0.5, 0, inf, -inf, nan)


def numbers(tree: Any, at: tuple = ()) -> Iterator[tuple]:
    """Where numbers are in nested settings."""
    if isinstance(tree, int | float) and not isinstance(tree, bool):
        yield at
    entries = tree.items() if isinstance(tree, dict) else ()
    entries = enumerate(tree) if isinstance(tree, list) else entries
    for key, value in entries:
        yield from numbers(value, (*at, key))


def put(tree: Any, at: tuple, value: Any) -> None:
    for key in at[:-1]:
        tree = tree[key]
    tree[at[-1]] = value


def refusal(section: Mapping[str, Any], name: str) -> str:
    try:
        check(section, name)
    except UserError as error:
        return str(error)
    return ""


def taken(section: Mapping[str, Any], name: str) -> Iterator[tuple[tuple, Any]]:
    """The wrong numbers that a section takes, and where; each other is refused in one sentence."""
    for at in list(numbers(section)):
        right = section
        for key in at:
            right = right[key]
        for value in WRONG:
            put(section, at, value)
            if said := refusal(section, name):
                assert all(word in said for word in (f"{name}.", " is ", "must be"))
            else:
                yield at, value
        put(section, at, right)


def constructors() -> set[Any]:
    """Whatever a recipe or the defaults name as a target."""

    def targets(tree: Any) -> Iterator[str]:
        if isinstance(tree, Mapping):
            yield from [tree["_target_"]] if "_target_" in tree else []
            for value in tree.values():
                yield from targets(value)

    named = {each for path in PARAMS.rglob("*.yaml") for each in targets(load(path))}
    optimizers = {f"unlabel.training.optimizer.{name}" for name in ("sgd", "adamw", "lars")}
    split = [path.rpartition(".") for path in named | optimizers]
    return {getattr(import_module(module), name) for module, _, name in split}


def bare(hint: Any) -> bool:
    """Is there a number in a type that has no range?"""
    if hasattr(hint, "__metadata__"):
        return False
    return hint in (int, float) or any(bare(each) for each in get_args(hint))


def test_every_number_of_a_constructor_has_a_range():
    assert len(constructors()) > 60
    for call in constructors():
        without = [name for name, hint in types(call).items() if bare(hint)]
        assert not without, f"{call.__module__}.{call.__name__}: {without}"


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_takes_trains_and_all_else_is_refused(name, hardware):
    data = noise((1, 16, 16), 8)
    alike = ("encoder", "optimizer", "training") if name == "simclr" else ()  # for all methods
    for part in ("method", *alike):
        settings = composed(name)
        for at, value in list(taken(settings[part], part)):
            assert value == 0, f"{name}: {part}.{at} takes {value}"
            settings = composed(name)
            put(settings[part], at, value)
            method = assembled(settings, about(data))
            optimizers = [build(settings["optimizer"], module=each) for each in method.players()]
            training = Training(epochs=1, batch=8)
            if not optimizers:
                continue
            for step in fit(method, data, optimizers, training, hardware, 0):
                assert torch.stack(step.losses).isfinite().all(), f"{name}: {part}.{at} is 0"


@pytest.mark.parametrize("budget", compose.names(PARAMS, "budget"))
def test_no_section_takes_a_number_out_of_its_range(budget):
    settings = composed("moco", budget=budget)
    parts = {name: settings[name] for name in SECTIONS} | {"finetune": settings["finetune"]}
    for section in ("probe", "measure"):
        parts |= {f"{section}.{name}": probe for name, probe in settings[section].items()}
    for name, part in parts.items():
        assert all(value == 0 for _, value in taken(part, name))


@pytest.mark.parametrize("name", compose.names(PARAMS, "dataset"))
def test_no_dataset_takes_a_number_out_of_its_range(name):
    assert all(value == 0 for _, value in taken(compose.recipe(PARAMS, name), "dataset"))


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("training.batch=0", "training.batch is 0, but must be a whole number of at least 1"),
        ("training.epochs=-1", "training.epochs is -1, but must be a whole number of at least 1"),
        ("method.temperature=inf", "method.temperature is inf, but must be a number above 0"),
        ("probe.knn.k=0", "probe.knn.k is 0, but must be a whole number of at least 1"),
        (
            "method.augment.crop.scale=[0+1]",
            "scale is [0, 1], but must be a list of 2, each a number above 0 and at most 1",
        ),
        ("finetune.lr=[]", "is [], but must be a list of one or more, each a number above 0"),
        ("method.width=1+method.width=2", "sets method.width twice; leave out one of them"),
        ("+training.warmup=3", "is not an override"),
        ("hydra.run.dir=x", "overrides hydra.run.dir, but simclr on digits at budget tiny has no"),
        ("optimizer=adam", "optimizer._target_=unlabel.training.optimizer.adamw; did you mean"),
        ("optimizer._target_=unlabel.training.optimizer.adam", "did you mean 'adamw'?"),
        ("method.augment.crop=3", "method.augment.crop is 3, but must be settings"),
    ],
)
def test_a_variant_out_of_range_is_explained(variant, said):
    with pytest.raises(UserError) as error:
        compose.settings(PARAMS, "tiny", "digits", "simclr", variant)
    assert said in str(error.value)


@pytest.mark.parametrize("warmup", ["6", "10"])
def test_a_warm_up_as_long_as_the_run_is_refused(warmup):
    with pytest.raises(UserError, match=f"training.warmup is {warmup}, but there are only 6 epoch"):
        compose.settings(PARAMS, "quick", "digits", "simclr", f"training.warmup={warmup}")
