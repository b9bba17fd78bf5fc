"""A module by its parts: the statements at its top level, what they bind and what they use."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from unlabel.errors import UserError
from unlabel.fingerprint.content import read
from unlabel.fingerprint.effect import only_binds
from unlabel.fingerprint.syntax import told

EVERYTHING = "*"
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORT = (ast.Import, ast.ImportFrom)
Use = tuple[str, str]  # a name and an attribute of it, which is empty if it is used on its own


class Taken(NamedTuple):
    """What an import takes from a module: a name, everything, or (empty) the module itself."""

    module: str
    name: str = ""


@dataclass(eq=False)
class Part:
    """A statement at the top level; one that imports several names is several."""

    node: ast.stmt
    names: set[str] = field(default_factory=set)  # that it binds, and perhaps more
    imports: list[tuple[str, Taken]] = field(default_factory=list)  # by local name
    uses: set[Use] = field(default_factory=set)
    hooks: bool = False  # does it act when a class is defined somewhere else?

    @property
    def is_import(self) -> bool:
        """Does it import and do nothing else?"""
        return isinstance(self.node, IMPORT)

    @cached_property
    def digest(self) -> str:
        """The same whatever its comments and docstrings say."""
        return sha256(told(self.node).encode()).hexdigest()

    def imported(self, name: str) -> Iterator[Taken]:
        """What a name means in it by its imports."""
        return (taken for local, taken in self.imports if local == name)


class Source:
    """A module, as its file is now. Raises `UserError` for a relative import."""

    def __init__(self, name: str, path: Path):
        self.name, self.path = name, path
        tree = ast.parse(read(path))
        self.parts = [_scan(part, name) for node in tree.body for part in _split(node)]
        self.binding = defaultdict[str, list[int]](list)  # the parts that bind each name
        for number, part in enumerate(self.parts):
            for each in part.names:
                self.binding[each].append(number)
        self.hooks = any(part.hooks for part in self.parts)
        used = {each for part in self.parts for each, _ in part.uses}
        own = {each for part in self.parts if not _foreign(part) for each in part.names}
        self.run = {  # when it is imported, these do more than bind a name that may be used
            number
            for number, part in enumerate(self.parts)
            if not (used & part.names if part.is_import else only_binds(part.node, own))
        }


def _split(node: ast.stmt) -> list[ast.stmt]:
    match node:
        case ast.Expr(value=ast.Constant()):
            return []  # a docstring
        case ast.Import(names=names):
            return [ast.copy_location(ast.Import([each]), node) for each in names]
        case ast.ImportFrom(names=names):
            return [
                ast.copy_location(ast.ImportFrom(node.module, [each], node.level), node)
                for each in names
            ]
    return [node]


def _scan(top: ast.stmt, module: str) -> Part:
    part, of_attribute = Part(top), set[ast.expr]()
    for node in _walk(top):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                part.names.add(node.id)
            elif node not in of_attribute:
                part.uses.add((node.id, ""))
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
                part.uses.add((node.value.id, node.attr))
                of_attribute.add(node.value)
        elif isinstance(node, DEFINITION):
            part.hooks |= node.name == "__init_subclass__"
            part.names.add(node.name)
            if ast.get_docstring(node, clean=False) is not None:
                node.body[0].value.value = None  # type: ignore[attr-defined]
        elif isinstance(node, IMPORT):
            part.imports += _imports(node, module)
        elif isinstance(node, ast.Global):
            part.uses |= {(name, "") for name in node.names}
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            part.uses.add((node.target.id, ""))
        elif isinstance(node, ast.keyword):
            part.hooks |= node.arg == "metaclass"
    part.names |= {local for local, _ in part.imports}
    if isinstance(top, DEFINITION):
        part.names = {top.name}  # the others are its own
    return part


def _walk(top: ast.AST) -> Iterator[ast.AST]:
    """All nodes, those of annotations that are written as text included; outer ones come first."""
    todo = [top]
    while todo:
        yield (node := todo.pop())
        for name in node._fields:  # twice as fast as `ast.walk`
            value = getattr(node, name, None)
            if isinstance(value, list):
                todo += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and name != "ctx":
                todo.append(value)
                if name in ("annotation", "returns"):
                    todo += _written(value)


def _written(hint: ast.AST) -> Iterator[ast.AST]:
    """What texts in an annotation say."""
    for each in ast.walk(hint):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            with suppress(SyntaxError):
                yield ast.parse(each.value, mode="eval")


def _imports(node: ast.Import | ast.ImportFrom, module: str) -> list[tuple[str, Taken]]:
    if isinstance(node, ast.Import):
        return [
            (each.asname or each.name.partition(".")[0], Taken(each.name)) for each in node.names
        ]
    if node.level or node.module is None:
        raise UserError(f"{module} has a relative import in line {node.lineno}; write it in full")
    return [(each.asname or each.name, Taken(node.module, each.name)) for each in node.names]


def _foreign(part: Part) -> bool:
    """Does it just import from elsewhere?"""
    return part.is_import and not any(is_ours(taken.module) for _, taken in part.imports)


def is_ours(module: str) -> bool:
    """Is it of this package?"""
    return module.partition(".")[0] == "unlabel"
