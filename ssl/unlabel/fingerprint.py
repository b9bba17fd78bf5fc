"""A fingerprint of the code that a result depends on; comments and docstrings do not count."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


@cache
def fingerprint(*modules: str) -> str:
    """Of modules of this package and of all that they import from it, directly or not."""
    text = "".join(f"{module} {_parsed(module)[0]}\n" for module in sorted(_closure(modules)))
    return sha256(text.encode()).hexdigest()[:16]


@cache
def words(*modules: str) -> frozenset[str]:
    """The names that stand as text in modules and in all that they import from this package."""
    found = set[str]()
    for module in _closure(modules):
        path = _file(module)
        assert path is not None
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(word for word in found if word.isidentifier())


def targets(settings: Any) -> Iterator[str]:
    """The module of each `_target_` anywhere in nested settings."""
    if isinstance(settings, Mapping):
        if isinstance(target := settings.get("_target_"), str):
            yield target.rpartition(".")[0]
        for value in settings.values():
            yield from targets(value)


def _closure(modules: Iterable[str]) -> set[str]:
    """Modules of this package, and all that they import from it, directly or not."""
    todo, seen = list(modules), set[str]()
    while todo:
        module = todo.pop()
        if module not in seen and _file(module) is not None:
            seen.add(module)
            todo += _parsed(module)[1]
    return seen


@cache
def _file(module: str) -> Path | None:
    first, *parts = module.split(".")
    path = PACKAGE.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((f for f in files if first == "unlabel" and f.is_file()), None)


@cache
def _parsed(module: str) -> tuple[str, list[str]]:
    """A module's hash, and what it imports; a name imported from a package may be a module."""
    path = _file(module)
    assert path is not None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [module.rpartition(".")[0]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = None
    digest = sha256(ast.dump(tree).encode())
    if path.name == "__init__.py":
        for file in sorted(_beside(path.parent)):
            digest.update(file.read_bytes())
    return digest.hexdigest(), imports


def _beside(folder: Path) -> Iterator[Path]:
    """What a package has beside code, such as templates; not what packages inside it have."""
    for path in folder.iterdir():
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from _beside(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
            yield path
