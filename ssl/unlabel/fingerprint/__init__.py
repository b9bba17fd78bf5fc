"""A fingerprint of the code that a result depends on.

What counts is what can run: of a class or function, its code and all that it names, in its own
module and in others; of each module that is imported on the way, what it does at that time. What
nothing names does not count, nor do comments and docstrings. Where names cannot be followed (a
module passed on as an object, `import *`, `globals()`), the whole module counts. What is imported
by a name that the code makes up is found by the `_target_` of settings alone.

To follow all names takes half a second. So a process can be told what another one has found, which
is believed only if every byte of the package is the same.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from unlabel.fingerprint.content import is_stray, read
from unlabel.fingerprint.reach import code, reached, source_of


class Found(NamedTuple):
    """What was found of some names."""

    fingerprint: str
    modules: list[str]  # that are imported for them


found: dict[str, Found] = {}  # by the names, in order


def fingerprint(*names: str) -> str:
    """Hash what counts for modules of this package, or for classes and functions in them.

    Raises `UserError` if one of them does not exist: else its code would stop counting unnoticed.
    """
    return _find(names).fingerprint


def closure(names: Iterable[str]) -> set[str]:
    """The modules that are imported for some modules, classes or functions of this package."""
    return set(_find(names).modules)


def tell() -> str:
    """All that was found, for `learn` in another process."""
    text = json.dumps(found, sort_keys=True)
    return f"{_seal(text)}\n{text}"


def learn(text: str) -> None:
    """Take what another process tells; nothing if its code was another, or the text is damaged."""
    seal, _, rest = text.partition("\n")
    if seal == _seal(rest):
        found.update({names: Found(*each) for names, each in json.loads(rest).items()})


def _seal(text: str) -> str:
    return sha256(f"{code()}\n{text}".encode()).hexdigest()


def _find(names: Iterable[str]) -> Found:
    key = " ".join(sorted(set(names)))
    if key not in found:
        counts = counted(key.split())
        found[key] = Found(_hash(counts), sorted(counts))
    return found[key]


def _hash(counts: Mapping[str, set[int]]) -> str:
    digest = sha256()
    for module, numbers in sorted(counts.items()):
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
    return sha256(b"".join(map(read, sorted(_beside(package))))).digest()


def _beside(folder: Path) -> Iterator[Path]:
    """The files that are no code and no strays, without those of inner packages."""
    for path in folder.iterdir():
        if is_stray(path.name):
            continue
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from _beside(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
            yield path
