"""The tree keeps the rules that it is built on."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import forks
from support.imports import circle, graph, imported, modules
from support.project import environment

ROOT = Path(__file__).parents[1]
GROUPS = ("dataset", "encoder", "method", "probe")
PACKAGE = modules(ROOT / "ssl", "unlabel")
IMPORTS = graph(PACKAGE)
# A package imports only from those further down; those of one line know nothing of each other.
FLOORS = [
    "command",
    "__main__ stage",
    "report workflow",
    "probe",
    "features",
    "training",
    "method",
    "cli",
    "encoder dataset hardware analysis",
    "data augment params weights",
    "nn",
    "files run fingerprint",
    "errors seeds progress units metric ranges",
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
ENGINE = "unlabel.workflow.engine"
TOOLS = {"bench", "faults", "fuzz", "support"}  # of tests/: what is no mirror of a package
WHOLE = {"test_docs", "test_layout", "test_safety"}  # tests of the tree as a whole


def test_ssl_is_pythons_own():
    code = "import ssl; print(ssl.__file__); ssl.create_default_context()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout
    assert not (ROOT / "ssl" / "__init__.py").exists()


# Imports


def package(module: str) -> str:
    """The package or top-level module below `unlabel` that a module belongs to."""
    return module.split(".")[1]


def upward(edges: dict[str, set[str]]) -> list[str]:
    """The imports between packages that do not lead down."""
    return [
        f"{importer} imports {each}"
        for importer, found in edges.items()
        for each in found
        if package(importer) != package(each) and FLOOR[package(importer)] >= FLOOR[package(each)]
    ]


def test_each_package_has_its_place_in_the_order():
    assert {package(name) for name in PACKAGE if "." in name} == FLOOR.keys()


def test_imports_lead_down():
    assert upward({name: found for name, found in IMPORTS.items() if "." in name}) == []


def test_imports_run_in_no_circle():
    assert circle(IMPORTS) == []


def test_the_engine_knows_nothing_of_the_workflow_above_it():
    above = {
        name: [each for each in found if each.startswith("unlabel.workflow")]
        for name, found in IMPORTS.items()
        if name.startswith(ENGINE)
    }
    assert [each for found in above.values() for each in found if not each.startswith(ENGINE)] == []


def test_only_the_engine_knows_snakemake():
    others = {name: path for name, path in PACKAGE.items() if not name.startswith(ENGINE)}
    knowing = {
        name: {each for each in imported(path) if each.startswith("snakemake")}
        for name, path in others.items()
    }
    assert {name for name, found in knowing.items() if found} == set()


def test_a_module_is_imported_by_its_whole_name():
    found = {
        name: [each for each in imported(path) if each[0] == "."] for name, path in PACKAGE.items()
    }
    assert [name for name, relative in found.items() if relative] == []


def test_an_import_that_leads_up_or_in_a_circle_is_found(tmp_path):
    sources = {
        "nn/__init__": "",
        "nn/layers": "def f():\n    from unlabel.data import images",
        "nn/losses": "import unlabel.nn.layers",
        "data/__init__": "",
        "data/images": "from unlabel.nn.losses import info_nce",
        "params/__init__": "from unlabel import data",
    }
    for name, text in sources.items():
        path = tmp_path / "unlabel" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    edges = graph(modules(tmp_path, "unlabel"))
    assert sorted(upward(edges)) == [
        "unlabel.nn.layers imports unlabel.data.images",
        "unlabel.params imports unlabel.data",
    ]
    assert set(circle(edges)) == {"unlabel.nn.layers", "unlabel.nn.losses", "unlabel.data.images"}


# Sizes


def test_few_modules_lie_at_the_top():
    assert len(list((ROOT / "ssl/unlabel").glob("*.py"))) <= 15


def test_no_class_is_long():
    """150 lines can be read at once."""
    long = {
        f"{name}.{node.name}": length
        for name, path in PACKAGE.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and (length := node.end_lineno - node.lineno + 1) > 150
    }
    assert long == {}


def test_the_snakefile_is_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60


# Tests


def test_each_folder_of_tests_mirrors_a_package():
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.relative_to(ROOT / "tests").parent
        if folder.parts and folder.parts[0] not in TOOLS:
            assert (ROOT / "ssl/unlabel" / folder).is_dir(), path
        elif not folder.parts and path.stem not in WHOLE:
            assert (ROOT / "ssl/unlabel" / f"{path.stem.removeprefix('test_')}.py").exists(), path


def test_no_test_imports_another():
    for path in (ROOT / "tests").rglob("*.py"):
        names = {part for each in imported(path) for part in each.split(".")}
        assert not {each for each in names if each.startswith("test_")}, path


# Files


@pytest.mark.parametrize("method", sorted((ROOT / "params/method").glob("*.yaml")), ids=str)
def test_each_method_is_two_files(method):
    (module,) = re.findall(r"_target_: unlabel\.method\.(\w+)\.", method.read_text())
    assert (ROOT / "ssl/unlabel/method" / f"{module}.py").exists()
    assert module == method.stem or method.stem.startswith((f"{module}_", "dinov2"))


@pytest.mark.parametrize("group", GROUPS)
def test_each_module_has_a_recipe_that_names_it(group):
    recipes = "".join(p.read_text() for p in (ROOT / "params" / group).rglob("*.yaml"))
    for module in (ROOT / "ssl/unlabel" / group).glob("[!_]*.py"):
        if any(isinstance(node, ast.ClassDef) for node in ast.parse(module.read_text()).body):
            assert f"unlabel.{group}.{module.stem}." in recipes, module


def test_a_method_reads_like_its_algorithm():
    for module in (ROOT / "ssl/unlabel/method").glob("[!_]*.py"):
        text = module.read_text()
        imports = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
        told = len(text.splitlines()) - sum(n.end_lineno - n.lineno + 1 for n in imports)
        assert told <= 75, f"{module} is no longer an algorithm"


def test_snakemakes_lint_finds_nothing_to_mend():
    """But for an environment of each rule's own: here one lock makes the environment of all."""
    done = forks.run("snakemake", "--lint", folder=ROOT, environment=environment())
    lints = set(re.findall(r"^    \* (.*?):?$", done.stdout + done.stderr, re.MULTILINE))
    assert lints == {"Specify a conda environment or container for each rule."}
