"""What a statement does when its module is imported, besides binding names."""

import ast

# These decorators, calls and base classes have no effect but on what is defined.
HARMLESS = {
    *("cache", "classmethod", "contextmanager", "dataclass", "field", "property", "staticmethod"),
    *("Exception", "NamedTuple", "Protocol", "nn.Module", "torch.no_grad"),
}


def only_binds(node: ast.stmt, own: set[str]) -> bool:
    """Does a statement do nothing but bind names? What functions do, they do when called.

    `own` names are not what they look like, as the module itself binds them. A base class of the
    package has an effect only if some class there has `__init_subclass__` or a metaclass.
    """
    decorators = getattr(node, "decorator_list", [])
    run: list[ast.AST | None]  # as the statement is
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            run = [node.args, node.returns]
        case ast.ClassDef() if all(only_binds(each, own) for each in node.body):
            run = [*node.bases, *node.keywords]
        case ast.Assign() if all(isinstance(each, ast.Name) for each in node.targets):
            run = [node.value]
        case ast.AnnAssign(target=ast.Name()):
            run = [node.annotation, node.value]
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            run = []
        case _:
            return False
    nodes = [each for part in (*run, *decorators) if part for each in ast.walk(part)]
    called = [each.func for each in nodes if isinstance(each, ast.Call)]
    called += [each for each in decorators if not isinstance(each, ast.Call)]
    called += [each for each in getattr(node, "bases", []) if _root(each) not in own]
    if any(isinstance(each, ast.NamedExpr | ast.Await | ast.Yield) for each in nodes):
        return False
    return all(ast.unparse(each) in HARMLESS and _root(each) not in own for each in called)


def _root(node: ast.expr) -> str:
    """The first name of `a.b.c`."""
    return ast.unparse(node).partition(".")[0]
