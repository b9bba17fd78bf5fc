"""The code of a file of one's own: the file, and what it imports that is no library."""

import ast
from collections.abc import Iterator
from hashlib import sha256
from os.path import relpath
from pathlib import Path
from typing import NamedTuple

from unlabel.errors import UserError
from unlabel.fingerprint import fingerprint
from unlabel.fingerprint.source import is_ours


class Imported(NamedTuple):
    """What an import statement names."""

    dots: int  # before the name, if it is relative
    name: str


def digest(file: Path) -> str:
    """The sha256 of this code; of the file alone if it imports only libraries.

    Nothing is run. Raises `OSError` if the file cannot be read, and `UserError` if it is no Python.
    """
    parts, ours = [sha256(file.read_bytes()).hexdigest()], set[str]()
    for path in sources(file):
        ours |= {each.name for each in _imports(path) if is_ours(each.name)}
        if path != file.absolute():
            name = relpath(path, file.parent.absolute())
            parts.append(f"{name} {sha256(path.read_bytes()).hexdigest()}")
    parts += [fingerprint(*ours)] if ours else []
    return parts[0] if len(parts) == 1 else sha256("\n".join(parts).encode()).hexdigest()


def sources(file: Path) -> list[Path]:
    """A file, and all that it can import from its folder or the working folder, in order.

    A file that has the name of a library is one of them, whichever of the two Python takes.
    """
    found, todo = set[Path](), [file.absolute()]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [
                each
                for imported in _imports(path)
                for folder in _folders(imported, path, file.absolute().parent)
                for each in _files(imported.name, folder)
            ]
    return sorted(found)


def _imports(path: Path) -> Iterator[Imported]:
    """What all import statements of a file name, wherever they are in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is no Python file: {error}; correct it") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Imported(0, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                last = [] if each.name == "*" else [each.name]
                yield Imported(node.level, ".".join([*filter(None, [node.module]), *last]))


def _folders(imported: Imported, path: Path, first: Path) -> list[Path]:
    """Where Python looks for what a file imports, besides libraries."""
    if imported.dots:
        return [path.parents[imported.dots - 1]]
    return [] if is_ours(imported.name) else [first, Path.cwd()]


def _files(name: str, folder: Path) -> Iterator[Path]:
    """The modules and packages in a folder that `a.b.c` can mean: those of a, a.b and a.b.c."""
    place = folder
    for part in filter(None, name.split(".")):
        place = place / part
        for path in (place.with_name(f"{part}.py"), place / "__init__.py"):
            if path.is_file():
                yield path
