"""A fingerprint says the same in every Python, and something else of other syntax."""

import ast
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from unlabel.fingerprint import reach, syntax

TEXT = """
class A(B, metaclass=M):
    x: int | None = None
    def f(self, a, /, b=1, *c, d, e=2, **g) -> str:
        return f"{a!r:>{b}} {c}" + u"v" + f""
async def h():
    async with a() as (b, *c):
        yield {**d, "e": ...}, b"f", 1e300, -2j, (), [], {}, lambda: None
"""
# as Python 3.11.7, 3.12.1 and 3.13.0 said
SAID = "908124a7e2ccbd4b"


def said(text: str) -> str:
    return syntax.told(ast.parse(text))


def test_every_python_says_the_same():
    assert sha256(said(TEXT).encode()).hexdigest()[:16] == SAID
    # what one Python alone has in its trees
    tree = ast.parse("def f(): ...\nf'{a:{b}}'")
    tree.body[0].type_params = []
    tree.body[1].value.values[0].format_spec.values.append(ast.Constant(""))
    assert syntax.told(tree) == said("def f(): ...\nf'{a:{b}}'")


@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13"])
def test_the_package_is_told_alike(python):
    if not (found := shutil.which(python)) or subprocess.run([found, "-c", ""]).returncode:
        pytest.skip(f"there is no {python}")
    program = (
        "import ast, runpy, sys; told = runpy.run_path(sys.argv[1])['told']; "
        "print(*[told(ast.parse(open(path, 'rb').read())) for path in sys.argv[2:]], sep='\\n')"
    )
    paths = sorted(map(str, reach.PACKAGE.rglob("*.py")))
    here = [syntax.told(ast.parse(Path(path).read_bytes())) for path in paths]
    command = [found, "-X", "utf8", "-c", program, syntax.__file__, *paths]
    printed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert printed.splitlines() == here


OTHERS = [
    ("f(a)", "f(b)"),
    ("f(a)", "f(*a)"),
    ("x = None", "x = 0"),
    ("x = 1", "x = 1.0"),
    ("x = 1", "x = True"),
    ("x = ''", "x = b''"),
    ("x = []", "x = ()"),
    ("x = {}", "x = set()"),
    ("return_ = 1", "return_: int = 1"),
    ("f'{a}'", "f'{a!r}'"),
    ("f'{a}b'", "f'{a}c'"),
    ("def f(a, /): ...", "def f(a): ..."),
    ("def f(*, a): ...", "def f(*, a=None): ..."),
    ("def f(a): ...", "def f(*a): ..."),
    ("{**a}", "{None: a}"),
    ("a[:1]", "a[1:]"),
    ("import a", "import a as b"),
    ("from a import b", "from c import b"),
    ("raise a", "raise a from b"),
    ("if a: b\nelse: c", "if a: b\nc"),
    ("for a in b: c", "for a in b: c\nelse: d"),
]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_syntax_is_told_otherwise(one, other):
    assert said(one) != said(other)
    assert said(one) == said(f"# a comment\n{one}  # another\n")
