"""Inputs that hypothesis makes, the same ones each time, so that CI tries what you tried."""

import copy
import string
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from support.models import composed
from unlabel.data.images import Images
from unlabel.errors import UserError

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


def pictures(n: int, shape: tuple[int, int, int]) -> Images:
    draw = torch.Generator().manual_seed(n)
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=draw)
    return Images.of(torch.arange(n), pixels, torch.arange(n) % 4)
