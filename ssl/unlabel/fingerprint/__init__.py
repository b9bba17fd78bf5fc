"""A fingerprint of the code that a result depends on.

What counts is what can run: of a class or function, its code and all that it names, in its own
module and in others; of each module that is imported on the way, what it does at that time. What
nothing names does not count, nor do comments and docstrings. Where names cannot be followed (a
module passed on as an object, `import *`, `globals()`), the whole module counts. What is imported
by a name that the code makes up is found by the `_target_` of settings alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlabel.fingerprint.reach import reached, source_of


@cache
def fingerprint(*names: str) -> str:
    """Hash what counts for modules of this package, or for classes and functions in them.

    Raises `UserError` if one of them does not exist: else its code would stop counting unnoticed.
    """
    digest = sha256()
    for module, numbers in sorted(counted(names).items()):
        source = source_of(module)
        digest.update(f"{module}\n".encode())
        for number in sorted(numbers):
            digest.update(source.parts[number].digest.encode())
        if source.path.name == "__init__.py":
            digest.update(others(source.path.parent))
    return digest.hexdigest()[:16]


def targets(settings: Any) -> Iterator[str]:
    """Each `_target_` anywhere in nested settings."""
    if isinstance(settings, Mapping):
        if isinstance(target := settings.get("_target_"), str):
            yield target
        for value in settings.values():
            yield from targets(value)


def closure(names: Iterable[str]) -> set[str]:
    """The modules that are imported for some modules, classes or functions of this package."""
    return set(counted(names))


def newest(names: Iterable[str]) -> Path:
    """The source file that was written last, of those that count."""
    paths = [source_of(module).path for module in closure(names)]
    return max(paths, key=lambda path: path.stat().st_mtime_ns)


def counted(names: Iterable[str]) -> dict[str, set[int]]:
    """The modules that are imported for some names, and the numbers of their parts that count."""
    whole: dict[str, set[int]] = {}
    for name in names:
        for module, numbers in reached(name).items():
            whole.setdefault(module, set()).update(numbers)
    return whole


@cache
def others(package: Path) -> bytes:
    """The hash of a package's files that are no code, such as templates."""
    return sha256(b"".join(file.read_bytes() for file in sorted(_beside(package)))).digest()


def _beside(folder: Path) -> Iterator[Path]:
    """The files that are no code, without those of inner packages."""
    for path in folder.iterdir():
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from _beside(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
            yield path
