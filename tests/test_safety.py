"""Nothing that is loaded can run code, and no shell is made from a user's text."""

import ast
import re
from pathlib import Path

import pytest

from project import ROOT
from unlabel.errors import UserError
from unlabel.settings import build

CODE = [*(ROOT / "ssl").rglob("*.py")]
RULES = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
# What unpickles or evaluates what it is given.
RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput",
    "read_pickle", "unsafe_load", "full_load", "load_all", "load_module",
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
SAFE = ("SafeLoader", "CSafeLoader")


def dangers(path: Path) -> list[str]:
    """The places of a file that could run what they load."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module.split(".")[0]]
        elif isinstance(node, ast.Call):
            found += _call(node, path)
        found += [f"{path.name}:{node.lineno} imports {name}" for name in names if name in MODULES]
    return found


def _call(node: ast.Call, path: Path) -> list[str]:
    said = ast.unparse(node.func)
    owner, _, name = said.rpartition(".")
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    wrong = (
        (name in RUNS_CODE and owner in ("", "os", "subprocess", "yaml", "pd", "pandas"))
        or given.get("shell") == "True"
        or (said == "yaml.load" and not any(word in ast.unparse(node) for word in SAFE))
        or (said == "torch.load" and given.get("weights_only") != "True")
        or (name == "load" and given.get("allow_pickle") == "True")
    )
    return [f"{path.name}:{node.lineno} calls {ast.unparse(node)}"] if wrong else []


def test_nothing_in_the_package_could_run_what_it_loads():
    """But for one module, which reads what Python has pickled with a reader that calls nothing."""
    assert len(CODE) > 100
    found = [danger for path in CODE for danger in dangers(path)]
    assert found == ["python_batch.py:7 imports pickle"]
    reader = (ROOT / "ssl/unlabel/python_batch.py").read_text()
    assert re.findall(r"pickle\.\w+", reader) == ["pickle.Unpickler"]
    assert "class _Reader(pickle.Unpickler)" in reader


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "yaml.load(text)",
        "yaml.load(text, Loader)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
    ],
)
def test_such_a_line_is_found(line, tmp_path):
    (tmp_path / "bad.py").write_text(line)
    assert len(dangers(tmp_path / "bad.py")) == 1


def test_rules_quote_each_path_for_the_shell():
    """Any text that a user chooses (a dataset's name, a variant) is in a path."""
    for path in RULES:
        for shell in re.findall(r"shell:\s*((?:f?\"[^\n]*\"\s*)+)", path.read_text()):
            said = [each for each in re.findall(r"\{(.*?)\}", shell) if not each.endswith(":q")]
            assert said == [], f"{path.name}: {said}"


@pytest.mark.parametrize("target", ["os.system", "subprocess.run", "builtins.eval", "unlabel", 3])
def test_settings_from_elsewhere_cannot_run_code(target):
    with pytest.raises(UserError, match="_target_"):
        build({"_target_": target, "command": "touch pwned"})
