"""What can run: all that is reached from a name by the names that it uses itself."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from unlabel.errors import UserError
from unlabel.fingerprint.content import digest
from unlabel.fingerprint.source import EVERYTHING, Part, Source, Taken, is_ours

PACKAGE = Path(__file__).parents[1]
# Uses that find names of their module in a way that cannot be followed.
BUILTINS = ("eval", "exec", "globals", "locals", "vars")
DYNAMIC = {("sys", "modules"), *((name, "") for name in BUILTINS)}


@cache
def reached(name: str) -> dict[str, set[int]]:
    """The modules that are imported for a name, and the numbers of their parts that count.

    Raises `UserError` if there is no such name.
    """
    reach = _Reach()
    module, _, last = name.rpartition(".")
    if not file_of(name) and file_of(module) and last in source_of(module).binding:
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
        source = source_of(module)
        if numbers := source.binding.get(name):
            self._count(source, numbers)
            taken = [each for k in numbers for each in source.parts[k].imported(name)]
        elif name != EVERYTHING and file_of(f"{module}.{name}"):
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
            if not self._todo and any(source_of(each).hooks for each in self.counted):
                for module in list(self.counted):
                    self.name(module, EVERYTHING)

    def _take(self, taken: Taken, attribute: str = "") -> None:
        """Count what is imported, or of a module the one attribute that is used."""
        module, name = taken
        if not is_ours(module):
            return
        if name and _is_submodule(taken):
            module, name = f"{module}.{name}", ""
        self.name(module, name or attribute or EVERYTHING)

    def _import(self, module: str, origin: str = "a setting or a stage") -> None:
        """Do what Python does: import the packages that a module is in, and what it imports."""
        if module in self.counted or not is_ours(module):
            return
        if file_of(module) is None:
            raise UserError(f"{origin} names {module}, which does not exist; correct it")
        self.counted[module] = set()
        self._import(module.rpartition(".")[0], module)
        source = source_of(module)
        self._count(source, source.run)
        for part in source.parts:
            for _, taken in part.imports if part.is_import else ():
                self._import_from(taken, module)

    def _import_from(self, taken: Taken, origin: str) -> None:
        self._import(taken.module, origin)
        if taken.name and file_of(f"{taken.module}.{taken.name}"):
            self._import(f"{taken.module}.{taken.name}", origin)

    def _count(self, source: Source, numbers: Iterable[int]) -> None:
        new = set(numbers) - self.counted[source.name]
        self.counted[source.name] |= new
        self._todo += [(source, source.parts[number]) for number in new]


def _is_submodule(taken: Taken) -> bool:
    """Is it a module in a package that means nothing else by its name, but may import it?"""
    source = source_of(taken.module)
    bound = (source.parts[k] for k in source.binding.get(taken.name, ()))
    only = all(each.is_import and taken in each.imported(taken.name) for each in bound)
    return only and file_of(f"{taken.module}.{taken.name}") is not None


def code() -> str:
    """A digest of the whole package, as this process first saw its files."""
    return digest(PACKAGE)


@cache
def file_of(module: str) -> Path | None:
    """Where a module of this package is; None if there is no such module."""
    first, *parts = module.split(".")
    path = PACKAGE.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((f for f in files if is_ours(first) and f.is_file()), None)


@cache
def source_of(module: str) -> Source:
    """A module that is there."""
    path = file_of(module)
    assert path is not None
    return Source(module, path)
