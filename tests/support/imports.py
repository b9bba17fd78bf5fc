"""Who imports whom in a tree of Python modules, read without running any of them."""

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Graph = Mapping[str, set[str]]


def modules(root: Path, package: str) -> dict[str, Path]:
    """The file of each module below `root/package`, by its dotted name."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if path.stem == "__init__" else parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports anywhere, in its functions too.

    `from a import b` gives both `a` and `a.b`: only who knows the tree can tell which is a module.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """The modules of the tree that each of its modules imports.

    What comes from a package's interface counts as an import of the package, and what comes from
    one of its modules as an import of that module alone.
    """
    edges = {}
    for name, path in files.items():
        found = imported(path) & files.keys()
        edges[name] = {each for each in found if not any(o.startswith(f"{each}.") for o in found)}
    return edges


def circle(edges: Graph) -> list[str]:
    """The modules of a circle of imports; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
