"""The fingerprint of what settings name: it changes with the code that can run, and no other."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import unlabel
from support.models import composed
from unlabel.errors import UserError
from unlabel.fingerprint import (
    closure,
    content,
    fingerprint,
    found,
    learn,
    newest,
    others,
    reach,
    targets,
    tell,
)
from unlabel.fingerprint.source import Source
from unlabel.workflow.planned_runs import SECTIONS

METHODS = ("simclr", "moco", "rotation", "random")
LOSSES, SIMCLR, LAYERS = "nn/losses.py", "method/simclr.py", "nn/layers.py"
Edit = tuple[str, str, str]  # a file, what is replaced in it (nothing: its end), and by what
PARSED: dict[tuple[Path, bytes], Source] = {}  # of all tests; most files are never edited


def source(module: str, path: Path) -> Source:
    key = (path, path.read_bytes())
    if key not in PARSED:
        PARSED[key] = Source(module, path)
    return PARSED[key]


@cache
def names(method: str) -> tuple[str, ...]:
    """What the plan takes the fingerprint of a method's training of."""
    settings = composed(method)
    return "unlabel.stage.pretrain", *targets({key: settings[key] for key in SECTIONS["pretrain"]})


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("package") / "unlabel"
    return shutil.copytree(reach.PACKAGE, there, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def package(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, whose files are put back after the test."""
    monkeypatch.setattr(reach, "PACKAGE", copied)
    monkeypatch.setattr(reach, "Source", source)
    forget()
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    yield copied
    for path in [path for path in copied.rglob("*") if path.is_file()]:
        if path not in before:
            path.unlink()
        elif path.read_bytes() != before[path]:
            path.write_bytes(before[path])
    monkeypatch.undo()
    forget()


def forget() -> None:
    for each in (reach.file_of, reach.source_of, reach.reached, others, content.read):
        each.cache_clear()
    content.digest.cache_clear()
    found.clear()


def now(*names: str) -> str:
    """The fingerprint of the files as they are."""
    forget()
    return fingerprint(*names)


def of(method: str) -> str:
    """The fingerprint of a method's training."""
    return fingerprint(*names(method))


def edit(package: Path, *edits: Edit) -> None:
    for file, old, new in edits:
        path = package / file
        text = path.read_text() if path.exists() else ""
        assert old in text, (file, old)
        path.write_text(text.replace(old, new, 1) if old else text + new)


def again(package: Path, *edits: Edit) -> set[str]:
    """The methods that would be trained again after some edits."""
    forget()
    before = {method: of(method) for method in METHODS}
    edit(package, *edits)
    forget()
    return {method for method in METHODS if of(method) != before[method]}


def added(text: str) -> Edit:
    return LOSSES, "", f"\n\n{text}\n"


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


def test_a_fingerprint_is_of_a_packages_own_templates_alone(package):
    stages = ("unlabel.stage.report", "unlabel.stage.pretrain", "unlabel.stage.prepare")
    first = [now(stage) for stage in stages]
    edit(package, ("report/template/index.html", "", "<p>"))
    second = [now(stage) for stage in stages]
    assert second[0] != first[0]
    assert second[1:] == first[1:]


def test_a_fingerprint_is_not_of_a_readme(package):
    first = now("unlabel.stage.report")
    for place in (package, package / "report"):
        (place / "README.md").write_text("Other words.")
    assert now("unlabel.stage.report") == first


STRAYS = (
    *("method/.simclr.py.swp", "method/#simclr.py#", "report/template/.index.html.swp"),
    *("report/template/index.html~", ".DS_Store", "nn/.ipynb_checkpoints/losses.txt"),
    "method/__pycache__/simclr.cpython-311.pyc.140234",  # half written
)


def test_what_editors_and_systems_leave_counts_for_nothing(package):
    forget()
    first, told = [of("simclr"), fingerprint("unlabel.stage.report")], tell()
    for name in STRAYS:
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("what somebody edits")
    forget()
    assert [of("simclr"), fingerprint("unlabel.stage.report")] == first
    found.clear()
    learn(told)
    assert found
    edit(package, ("report/template/index.html", "", "<p>"))
    forget()
    assert of("simclr") == first[0]
    assert fingerprint("unlabel.stage.report") != first[1]


def test_an_open_editor_stops_no_job(tmp_path):
    shutil.copytree(Path(unlabel.__file__).parent, tmp_path / "unlabel")

    def python(code: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)} | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    named = "from unlabel.fingerprint import fingerprint\nprint(fingerprint('unlabel.stage.bench'))"
    check = "from unlabel.params import planned_code\nplanned_code.check('bench', None)"
    planned = python(named)
    (tmp_path / "unlabel/report/.bench_page.py.swp").write_text("what somebody edits")
    assert python(named) == planned
    python(check, UNLABEL_CODE=planned)
    (tmp_path / "unlabel/stage/.#bench.py").symlink_to("user@host.123:456")  # Emacs's lock
    assert "bench" in python("from unlabel import cli\nprint(cli.overview())")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import unlabel.no_such", "unlabel.method.rotation names unlabel.no_such,"),
        ("from unlabel.no_such import x", "which does not exist"),
        ("from . import simclr", "has a relative import in line 1"),
    ],
)
def test_a_module_that_does_not_exist_has_no_fingerprint(package, statement, said):
    for name in ("unlabel.method.rotatoin", "unlabel.method.rotation.Rotatoin"):
        with pytest.raises(UserError, match=f"names {name}, which does not"):
            now(name)
    first = now("unlabel.method.rotation")
    text = (package / "method/rotation.py").read_text()
    (package / "method/rotation.py").write_text(f"{statement}\n{text}")
    with pytest.raises(UserError, match=said):
        now("unlabel.method.rotation")
    (package / "method/rotation.py").write_text(f"import os\n{text}")
    assert now("unlabel.method.rotation") != first


def test_every_module_has_a_fingerprint(package):
    files = [file.relative_to(package.parent) for file in package.rglob("*.py")]
    names = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    forget()
    assert all(map(fingerprint, names))
    assert len(names) > 100


def test_the_newest_file_is_among_those_that_are_imported(package):
    forget()
    assert {"unlabel.nn.losses", "unlabel.nn"} <= closure(["unlabel.method.simclr.SimCLR"])
    assert closure(["torch.nn"]) == set()
    (package / LOSSES).touch()
    assert newest(["unlabel.method.simclr.SimCLR"]) == package / LOSSES


def test_what_another_process_has_found_is_believed_of_just_this_code(package, monkeypatch):
    expected, modules = of("simclr"), closure(names("simclr"))
    told = tell()
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(reach, "Source", None)  # nothing need be followed
        learn(told)
        assert of("simclr") == expected
        assert closure(reversed(names("simclr"))) == modules
    forget()
    learn(told.replace(expected, expected[::-1]))
    learn(told[:-9])
    assert found == {}
    edit(package, (LOSSES, "", "\n# A comment\n"))
    forget()
    learn(told)
    assert found == {}
    assert of("simclr") == expected  # but it is followed again


def test_an_edit_while_a_job_loads_its_code_is_seen(tmp_path):
    """What was hashed is then not what was loaded."""
    shutil.copytree(
        Path(unlabel.__file__).parent,
        tmp_path / "unlabel",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    code = (
        "from pathlib import Path\n"
        "from unlabel.fingerprint.reach import code\n"
        "from unlabel.params.planned_code import edited\n"
        "code()\n"
        "print(edited(['unlabel.units']))\n"
        "path = Path('unlabel/units.py')\n"
        "path.write_text(path.read_text() + 'DASH = 1')\n"
        "print(edited(['unlabel.units']), edited(['unlabel.errors']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["False", "True", "False"], done.stderr
