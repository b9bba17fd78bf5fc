"""The fingerprint of what settings name: it changes with the code that can run, and no other."""

import pytest

from support.edits import LAYERS, LOSSES, METHODS, SIMCLR, Edit, added, again, edit, now

UNUSED = {
    "a function": [added("def unused(x):\n    return x + 1")],
    "a class": [added("@dataclass\nclass Unused:\n    x: int = 1")],
    "a constant": [added("UNUSED = (1, 2)")],
    "a function with a library": [
        (LOSSES, "import torch\n", "import math\nimport torch\n"),
        added("def unused():\n    return math.pi"),
    ],
    "a function that others use": [(LOSSES, "for p, q in pairs]).mean", "for p, q in pairs]).sum")],
    "words": [(LOSSES, '"""Pure', '"""Very pure'), (LOSSES, '"""InfoNCE', '"""The InfoNCE')],
    "comments": [added("# words"), (LOSSES, "k = gather(k)", "k = gather(k)  # all")],
}


@pytest.mark.parametrize("edits", UNUSED.values(), ids=UNUSED)
def test_what_a_method_does_not_name_does_not_count(package, edits):
    assert again(package, *edits) == set()


FIRST = "    every = gather(z, views=2)\n"  # of simclr's nt_xent


def named(text: str, taken: str = "", line: str = "", old: str = FIRST) -> list[Edit]:
    """Edits that add something to losses.py and have simclr use it: what it imports, and a line."""
    edits = [added(text)]
    if taken:
        edits.append((SIMCLR, "import RETRIEVAL", f"import {taken}, RETRIEVAL"))
    return [*edits, (SIMCLR, old, line if old != FIRST else f"{FIRST}    {line}\n")]


# How simclr comes to use something in losses.py, and what is edited there.
NAMED = {
    "a function": (named("def f(x): return 1", "f", "f(every)"), "return 1"),
    "what that calls": (named("def g(): return 1\ndef f(): return g()", "f", "f()"), "return 1"),
    "a constant": (named("N = 1", "N", "every * N"), "N = 1"),
    "a constant of a constant": (named("N = 1\nM = (N, N)", "M", "M[0]"), "N = 1"),
    "under another name": (named("def f(x): return 1", "f as a", "a(every)"), "return 1"),
    "in a function": (
        named("def f(): return 1", line="from unlabel.nn.losses import f\n    f()"),
        "return 1",
    ),
    "by its module": (
        [
            *named("def f(): return 1\ndef g(): pass", line="losses.f()"),
            (SIMCLR, "from unlabel.ranges", "from unlabel.nn import losses\nfrom unlabel.ranges"),
        ],
        "return 1",
    ),
    "by another module": (
        [
            added("def f(): return 1"),
            (LAYERS, "import cosine_similarities", "import cosine_similarities, f"),
            (SIMCLR, "import Norm, mlp", "import Norm, f, mlp"),
            (SIMCLR, FIRST, f"{FIRST}    f()\n"),
        ],
        "return 1",
    ),
    "in an annotation": (
        named("class A: x = 1", "A", "nt_xent(z: 'Tensor | A'", "nt_xent(z: Tensor"),
        "x = 1",
    ),
    "as a default": (named("DIM = 128", "DIM", "Count = DIM", "Count = 128"), "DIM = 128"),
    "as a decorator": (
        named("def twice(f): return f", "twice", "@twice\ndef nt_xent", "def nt_xent"),
        "return f\n",
    ),
    "as a base class": (
        named("class A: x = 1", "A", "SimCLR(A, Method)", "SimCLR(Method)"),
        "x = 1",
    ),
    "what is caught": (
        named("class E(Exception): x = 1", "E", "try: pass\n    except E: pass"),
        "x = 1",
    ),
    "by a global statement": (
        named("N = 1\ndef f():\n    global N\n    N += 1", "f", "f()"),
        "N = 1",
    ),
    "what is bound twice": (named("N = 1\nN = (N, N)", "N", "N"), "N = 1\n"),
}


@pytest.mark.parametrize(("before", "old"), NAMED.values(), ids=NAMED)
def test_what_a_method_names_counts(package, before, old):
    edit(package, *before)
    assert again(package, added("def unused(): return 1")) == set()
    assert again(package, (LOSSES, old, f"{old.strip()} or 7\n")) == {"simclr"}


@pytest.mark.parametrize(
    ("edits", "methods"),
    [
        ([(SIMCLR, FIRST, f"{FIRST}    every = every + 1\n")], {"simclr"}),
        ([(LOSSES, "= gather(k)", "= gather(k + 1)")], {"moco"}),
        ([(LOSSES, "return F.normalize(a", "return 1 + F.normalize(a")], {"simclr", "moco"}),
        ([("method/__init__.py", "super().__init__()", "super().__init__() or 1")], {*METHODS}),
        ([(SIMCLR, "functional as F", "functional_ as F")], {"simclr"}),
        ([added("def f(): pass\ndef g(): pass"), (SIMCLR, "import R", "import f as a, g as b, R"),
          (SIMCLR, FIRST, f"{FIRST}    a(b())\n")], {"simclr"}),
    ],
)  # fmt: skip
def test_an_edit_trains_again_what_it_is_about(package, edits, methods):
    assert again(package, *edits) == methods


def test_two_names_that_change_places_count(package):
    edit(package, *named("def f(x): return x\ndef g(x): return 1", "f as a, g as b", "a(b(every))"))
    assert again(package, (SIMCLR, "f as a, g as b", "f as b, g as a")) == {"simclr"}


# What is done when the module is imported, or cannot be followed, and an edit of it. All these
# methods import losses.py: their encoder's layers do.
UNSURE = {
    "a condition": ("if True:\n    def f(): return 1", "return 1", "return 2"),
    "an attempt": ("try:\n    N = 1\nexcept ImportError:\n    N = 2", "N = 2", "N = 3"),
    "a call": ("torch.manual_seed(1)", "seed(1)", "seed(2)"),
    "a call in a constant": ("N = print(1)", "(1)", "(2)"),
    "a call as a default": ("def f(x=print(1)): pass", "(1)", "(2)"),
    "a call in a class": ("class A:\n    x = print(1)", "(1)", "(2)"),
    "a statement in a class": ("class A:\n    for x in (1,): pass", "(1,)", "(2,)"),
    "a decorator": ("def register(f): return f\n@register\ndef f(): return 1", "urn 1", "urn 2"),
    "one that looks harmless": ("def cache(f): return f\n@cache\ndef f(): return 1", "n 1", "n 2"),
    "an addition": ("N = (1,)\nN += (2,)", "(1,)", "(3,)"),
    "an attribute": ("torch.x = 1", "x = 1", "x = 2"),
    "a library for what it does": ("import antigravity", "antigravity", "this"),
    "a function by which it is called": ("def f(): return 1\nf()", "return 1", "return 2"),
    "a class below one that acts": (
        "class A:\n    def __init_subclass__(cls): print(1)\nclass B(A):\n    x = 1",
        "x = 1",
        "x = 2",
    ),
    "a class below a library's": ("class A(torch.Foo):\n    x = 1", "x = 1", "x = 2"),
    "a class with a metaclass": ("class B(metaclass=type):\n    x = 1", "x = 1", "x = 2"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "old", "new"), UNSURE.values(), ids=UNSURE)
def test_what_an_import_does_counts(package, text, old, new):
    edit(package, added(text))
    assert again(package, (LOSSES, text, text.replace(old, new))) == set(METHODS)


# Ways to use a module that cannot be followed: all that is in it counts.
WHOLE = {
    "as an object": ("from unlabel.nn import losses", "getattr(losses, 'f')"),
    "with import as": ("import unlabel.nn.losses as losses", "vars(losses)"),
    "by its full name": ("import unlabel.nn.losses", "unlabel.nn.losses.f"),
    "a name that is nowhere": ("from unlabel.nn.losses import nowhere", "nowhere"),
    "all its names": ("from unlabel.nn.losses import *", "f"),
    "by what finds its own names": ("from unlabel.nn.losses import find", "find()"),
}


@pytest.mark.parametrize(("statement", "use"), WHOLE.values(), ids=WHOLE)
def test_where_names_cannot_be_followed_the_whole_module_counts(package, statement, use):
    edit(package, added("def f(): return 1\ndef find(): return globals()['f']"))
    edit(package, (SIMCLR, "import torch\n", f"import torch\n{statement}\n"))
    edit(package, (SIMCLR, FIRST, f"{FIRST}    {use}\n"))
    assert again(package, (LOSSES, "def f(): return 1", "def f(): return 2")) == {"simclr"}


@pytest.mark.parametrize("statement", ["from unlabel.nn import losses", "import unlabel.nn.losses"])
@pytest.mark.parametrize(
    ("taken", "use"),
    [("from unlabel.nn import losses", "losses.f()"), ("from unlabel import nn", "nn.losses.f()")],
)
def test_a_module_counts_whose_package_imports_it(package, statement, taken, use):
    edit(package, added("def f(): return 1"), ("nn/__init__.py", "", f"\n{statement}\n"))
    edit(package, (SIMCLR, "import torch\n", f"import torch\n{taken}\n"))
    edit(package, (SIMCLR, FIRST, f"{FIRST}    {use}\n"))
    assert "simclr" in again(package, (LOSSES, "def f(): return 1", "def f(): return 2"))


def test_other_targets_of_a_module_do_not_count(package):
    first = now("unlabel.training.optimizer.sgd")
    edit(package, ("training/optimizer.py", "", "\n\ndef other(): pass\n"))
    assert now("unlabel.training.optimizer.sgd") == first
    assert now("unlabel.training.optimizer") != first
