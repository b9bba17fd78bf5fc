"""A fingerprint of the code that a result depends on; comments and docstrings do not count."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlabel.errors import UserError

PACKAGE = Path(__file__).parent


@cache
def fingerprint(*modules: str) -> str:
    """Hash modules of this package and everything they import from it, directly or not.

    Raises `UserError` if one of them does not exist: else its code would stop counting unnoticed.
    """
    text = "".join(f"{module} {_parsed(module)[0]}\n" for module in sorted(closure(modules)))
    return sha256(text.encode()).hexdigest()[:16]


def targets(settings: Any) -> Iterator[str]:
    """The module of each `_target_` anywhere in nested settings."""
    if isinstance(settings, Mapping):
        if isinstance(target := settings.get("_target_"), str):
            yield target.rpartition(".")[0]
        for value in settings.values():
            yield from targets(value)


def closure(modules: Iterable[str]) -> set[str]:
    """Modules of this package and everything they import from it; other packages are left out."""
    todo, seen = [(module, "a setting or a stage") for module in modules], set[str]()
    while todo:
        module, origin = todo.pop()
        if module in seen or module.partition(".")[0] != "unlabel":
            continue
        if _file(module) is None:
            raise UserError(f"{origin} names the module {module}, which does not exist; correct it")
        seen.add(module)
        todo += [(each, module) for each in _parsed(module)[1]]
    return seen


def newest(modules: Iterable[str]) -> Path:
    """The source file that was written last, of modules and all that they import."""
    paths = [path for each in closure(modules) if (path := _file(each))]
    return max(paths, key=lambda path: path.stat().st_mtime_ns)


@cache
def _file(module: str) -> Path | None:
    first, *parts = module.split(".")
    path = PACKAGE.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((f for f in files if first == "unlabel" and f.is_file()), None)


@cache
def _parsed(module: str) -> tuple[str, list[str]]:
    """The hash of a module that exists, and the modules it imports."""
    path = _file(module)
    assert path is not None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [module.rpartition(".")[0]]  # Python runs the package's __init__.py first
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += _imported(node, module)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = None
    digest = sha256(ast.dump(tree).encode())
    if path.name == "__init__.py":
        for file in sorted(_beside(path.parent)):
            digest.update(file.read_bytes())
    return digest.hexdigest(), imports


def _imported(node: ast.Import | ast.ImportFrom, module: str) -> list[str]:
    """The modules an import statement names. What it takes from one may be a module, or may not."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.level or node.module is None:
        raise UserError(f"{module} has a relative import in line {node.lineno}; write it in full")
    taken = [f"{node.module}.{alias.name}" for alias in node.names]
    return [node.module, *(name for name in taken if _file(name) is not None)]


def _beside(folder: Path) -> Iterator[Path]:
    """The files of a package that are not code, such as templates, without inner packages'."""
    for path in folder.iterdir():
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from _beside(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
            yield path
