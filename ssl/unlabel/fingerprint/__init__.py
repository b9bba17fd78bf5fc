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

from unlabel.errors import UserError
from unlabel.fingerprint.source import EVERYTHING, Part, Source, Taken, is_ours

PACKAGE = Path(__file__).parents[1]
# What finds names of its module in a way that cannot be followed.
DYNAMIC = {("sys", "modules"), *((name, "") for name in "globals locals vars eval exec".split())}


@cache
def fingerprint(*names: str) -> str:
    """Hash what counts for modules of this package, or for classes and functions in them.

    Raises `UserError` if one of them does not exist: else its code would stop counting unnoticed.
    """
    digest = sha256()
    for module, numbers in sorted(_counted(names).items()):
        source = _source(module)
        digest.update(f"{module}\n".encode())
        for number in sorted(numbers):
            digest.update(source.parts[number].digest.encode())
        if source.path.name == "__init__.py":
            for file in sorted(_beside(source.path.parent)):
                digest.update(file.read_bytes())
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
    return set(_counted(names))


def newest(names: Iterable[str]) -> Path:
    """The source file that was written last, of those that count."""
    paths = [_source(module).path for module in closure(names)]
    return max(paths, key=lambda path: path.stat().st_mtime_ns)


def _counted(names: Iterable[str]) -> dict[str, set[int]]:
    """The modules that are imported, and the numbers of those of their parts that count."""
    whole: dict[str, set[int]] = {}
    for name in names:
        for module, numbers in _reached(name).items():
            whole.setdefault(module, set()).update(numbers)
    return whole


@cache
def _reached(name: str) -> dict[str, set[int]]:
    reach = _Reach()
    module, _, last = name.rpartition(".")
    if not _file(name) and _file(module) and last in _source(module).binding:
        reach.name(module, last)
    elif is_ours(name):
        reach.name(name, EVERYTHING)
    reach.follow()
    return reach.counted


class _Reach:
    """What is reached from some names, and from all that they name."""

    def __init__(self) -> None:
        self.counted: dict[str, set[int]] = {}  # the parts of each module that is imported
        self._todo: list[tuple[Source, Part]] = []
        self._named = set[Taken]()

    def name(self, module: str, name: str) -> None:
        """Count what a name means in a module; all of it if that is not known."""
        if Taken(module, name) in self._named:
            return
        self._named.add(Taken(module, name))
        self._import(module)
        source = _source(module)
        if numbers := source.binding.get(name):
            self._count(source, numbers)
            taken = [each for k in numbers for each in source.parts[k].imported(name)]
        elif name != EVERYTHING and _file(f"{module}.{name}"):
            taken = [Taken(f"{module}.{name}")]
        else:
            self._count(source, range(len(source.parts)))
            taken = [each for k in source.run for _, each in source.parts[k].imports]
        for each in taken:
            self._take(each)

    def follow(self) -> None:
        """Count all that is named by what counts."""
        while self._todo:
            source, part = self._todo.pop()
            for _, taken in part.imports:
                self._import_from(taken, source.name)
                if taken.name == EVERYTHING:
                    self._take(taken)
            if DYNAMIC & part.uses:
                self.name(source.name, EVERYTHING)
            for name, attribute in part.uses:
                numbers = source.binding.get(name, [])
                self._count(source, numbers)
                for each in (part, *(source.parts[k] for k in numbers)):
                    for taken in each.imported(name):
                        self._take(taken, attribute)
            if not self._todo and any(_source(each).hooks for each in self.counted):
                for module in list(self.counted):
                    self.name(module, EVERYTHING)

    def _take(self, taken: Taken, attribute: str = "") -> None:
        """Count what is imported, or of a module the one attribute that is used."""
        module, name = taken
        if not is_ours(module):
            return
        if name and _file(f"{module}.{name}") and name not in _source(module).binding:
            module, name = f"{module}.{name}", ""
        self.name(module, name or attribute or EVERYTHING)

    def _import(self, module: str, origin: str = "a setting or a stage") -> None:
        """Do what Python does: import the packages that a module is in, and what it imports."""
        if module in self.counted or not is_ours(module):
            return
        if _file(module) is None:
            raise UserError(f"{origin} names {module}, which does not exist; correct it")
        self.counted[module] = set()
        self._import(module.rpartition(".")[0], module)
        source = _source(module)
        self._count(source, source.run)
        for part in source.parts:
            for _, taken in part.imports if part.is_import else ():
                self._import_from(taken, module)

    def _import_from(self, taken: Taken, origin: str) -> None:
        self._import(taken.module, origin)
        if taken.name and _file(f"{taken.module}.{taken.name}"):
            self._import(f"{taken.module}.{taken.name}", origin)

    def _count(self, source: Source, numbers: Iterable[int]) -> None:
        new = set(numbers) - self.counted[source.name]
        self.counted[source.name] |= new
        self._todo += [(source, source.parts[number]) for number in new]


@cache
def _file(module: str) -> Path | None:
    first, *parts = module.split(".")
    path = PACKAGE.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((f for f in files if is_ours(first) and f.is_file()), None)


@cache
def _source(module: str) -> Source:
    path = _file(module)
    assert path is not None
    return Source(module, path)


def _beside(folder: Path) -> Iterator[Path]:
    """The files of a package that are not code, such as templates, without inner packages'."""
    for path in folder.iterdir():
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from _beside(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
            yield path
