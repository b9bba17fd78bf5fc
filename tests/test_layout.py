"""The tree keeps the rules that it is built on."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUPS = ("dataset", "encoder", "method", "probe")


def test_ssl_is_pythons_own():
    code = "import ssl; print(ssl.__file__); ssl.create_default_context()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout
    assert not (ROOT / "ssl" / "__init__.py").exists()


@pytest.mark.parametrize("method", sorted((ROOT / "params/method").glob("*.yaml")), ids=str)
def test_each_method_is_two_files(method):
    assert (ROOT / "ssl/unlabel/method" / f"{method.stem}.py").exists() or (
        f"unlabel.method.{method.stem.split('_')[0]}" in method.read_text()
    )


@pytest.mark.parametrize("group", GROUPS)
def test_each_module_has_a_recipe_that_names_it(group):
    recipes = "".join(p.read_text() for p in (ROOT / "params" / group).rglob("*.yaml"))
    for module in (ROOT / "ssl/unlabel" / group).glob("[!_]*.py"):
        if any(isinstance(node, ast.ClassDef) for node in ast.parse(module.read_text()).body):
            assert f"unlabel.{group}.{module.stem}." in recipes, module


def test_a_method_reads_like_its_algorithm():
    for module in (ROOT / "ssl/unlabel/method").glob("[!_]*.py"):
        lines = module.read_text().splitlines()
        told = [line for line in lines if not line.startswith(("from ", "import "))]
        assert len(told) <= 72, f"{module} is no longer an algorithm"


def test_snakemakes_lint_finds_nothing_to_mend():
    """But for an environment of each rule's own: here one lock makes the environment of all."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True
    )
    lints = set(re.findall(r"^    \* (.*?):?$", done.stdout + done.stderr, re.MULTILINE))
    assert lints == {"Specify a conda environment or container for each rule."}
