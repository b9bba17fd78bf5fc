"""Syntax in words that are the same in every Python.

`ast.dump` is not: Python 3.12 added `type_params` to it, 3.13 leaves empty lists out, and some give
an f-string's format an empty end.
"""

import ast


def told(node: object) -> str:
    """A syntax tree, a list of them or a value as text; other trees are told otherwise."""
    if isinstance(node, ast.AST):
        return f"{type(node).__name__}({', '.join(_fields(node))})"
    if isinstance(node, list):
        return f"[{', '.join(map(told, node))}]"
    return repr(node)


def _fields(node: ast.AST) -> list[str]:
    """What a node has. A field that has nothing may be one that this Python alone knows."""
    found = [(name, getattr(node, name, None)) for name in node._fields]
    if isinstance(node, ast.JoinedStr):
        found = [("values", [each for each in node.values if not _is_empty(each)])]
    return [f"{name}={told(value)}" for name, value in found if value is not None and value != []]


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""
