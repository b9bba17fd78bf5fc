"""Nothing that is loaded can run code, and no shell is made from a user's text."""

import ast
import os
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import omegaconf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from support.harmful import Call
from support.project import ROOT
from unlabel import encoder, weights
from unlabel.analysis.run_results import _table
from unlabel.data import image_source as sources
from unlabel.data import images
from unlabel.data.decode import Preprocessing
from unlabel.dataset.table import Table
from unlabel.errors import UserError
from unlabel.features import neighbours, parquet
from unlabel.params.settings import build, load

CODE = [*(ROOT / "ssl").rglob("*.py")]
RULES = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
# What unpickles or evaluates what it is given.
RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput",
    "read_pickle", "unsafe_load", "full_load", "load_all", "load_module",
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle", "runpy"}
LOADERS = {
    *("torch.jit.load", "torch.hub.load", "torch.export.load", "torch.package", "pd.eval"),
    *("hydra.utils.instantiate", "hydra.utils.call", "instantiate"),
}
SAFE = ("SafeLoader", "CSafeLoader")


def dangers(path: Path) -> list[str]:
    """The places of a file that could run what they load."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # by whatever name it is called then
            names = [node.module.split(".")[0]]
            hidden = [alias.name for alias in node.names if alias.name in RUNS_CODE - {"compile"}]
            found += [f"{path.name}:{node.lineno} imports {name}" for name in hidden]
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
        or given.get("allow_pickle", "False") != "False"
        or said in LOADERS
    )
    return [f"{path.name}:{node.lineno} calls {ast.unparse(node)}"] if wrong else []


def test_nothing_in_the_package_could_run_what_it_loads():
    """But for one module, which reads what Python has pickled with a reader that calls nothing."""
    assert len(CODE) > 100
    found = [danger for path in CODE for danger in dangers(path)]
    assert [re.sub(r":\d+", "", each) for each in found] == ["cifar_pickle.py imports pickle"]
    reader = (ROOT / "ssl/unlabel/data/cifar_pickle.py").read_text()
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
        "torch.load(path, weights_only=False)",
        "torch.export.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=given)",
        "from os import system as harmless",
        "from subprocess import getoutput",
        "hydra.utils.instantiate(settings)",
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


def imported() -> dict[str, tuple[str, ...]]:
    """The modules that could run code and more, and the files that import them by name."""
    names = ("import_module", "subprocess", "urlopen", "os.exec", "socket")
    return {name: tuple(sorted(p.name for p in CODE if name in p.read_text())) for name in names}


def test_who_may_start_programs_import_by_name_or_use_the_network():
    """Another one is to be looked at before it is added here."""
    assert imported() == {
        "import_module": (
            *("__init__.py", "cli.py", "followers.py", "forkserver.py", "invocation.py"),
            *("planned_code.py", "settings.py"),
        ),
        "subprocess": (
            *("devices.py", "dvc.py", "environment.py", "fashion_mnist.py", "forkserver.py"),
            *("lock.py", "nodes.py", "partial_report.py", "plots.py", "slurm.py", "version.py"),
        ),
        "urlopen": ("download.py",),
        "os.exec": (),
        "socket": ("forkserver.py", "nodes.py"),
    }


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "unlabel",
        3,
        None,
        "unlabel.params.settings.import_module",  # ours by its path, but not by who has made it
        "unlabel.data.download.urlopen",
        "unlabel.cli.main",
        "unlabel.workflow.machine.use_this_python",
        "unlabel.command.runs.run",
        "unlabel.dataset.held_out_mask",
        "unlabel.dataset.folder.find",
        "unlabel.dataset.imagenette.re.compile",
        "unlabel.training.optimizer._AdamW",
        "unlabel.encoder.__builtins__",
    ],
)
def test_settings_from_elsewhere_cannot_run_code(target):
    with pytest.raises(UserError, match=r"_target_|is not a setting of"):
        build({"_target_": target, "name": "antigravity", "command": "touch pwned"})


def test_an_encoder_from_elsewhere_cannot_import_code(tmp_path, monkeypatch):
    """Not even what lies in the folder that Python is started in."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "harmful.py").write_text("from pathlib import Path; Path('called').touch()")
    monkeypatch.chdir(tmp_path)
    hidden = {"_target_": "unlabel.params.settings.import_module", "name": "harmful"}
    settings = {"_target_": "unlabel.encoder.resnet.ResNet", "depth": hidden}
    data = {"name": "x", "shape": [1, 8, 8], "mean": [0.5], "std": [0.5], "classes": ["a"]}
    data |= {"size": 1, "source": "", "sha256": {}}
    weights.write(tmp_path / "e.safetensors", {}, {"encoder": settings, "data": data})
    with pytest.raises(UserError, match=r"encoder\.depth\._target_"):
        encoder.load(tmp_path / "e.safetensors")
    assert not (tmp_path / "called").exists()


TEXTS = {
    "a yaml object": "a: !!python/object/apply:os.system ['touch called']",
    "a yaml name": "a: !!python/name:os.system",
    "a yaml module": "a: !!python/module:harmful",
    "an instance": "a: !!python/object/new:os.system ['touch called']",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_recipe_is_data(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(TEXTS[name])
    with pytest.raises(UserError, match="is not valid YAML"):
        load(tmp_path / "recipe.yaml")
    with pytest.raises(yaml.YAMLError):  # so Hydra reads it
        omegaconf.OmegaConf.load(tmp_path / "recipe.yaml")
    assert not (tmp_path / "called").exists()


def arrow(payload: bytes, path: Path) -> None:
    """A table with a column of a type that pyarrow once unpickled."""
    names = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": payload}
    fields = [pa.field(each, pa.binary(), metadata=names) for each in ("id", "image", "label", "h")]
    rows = pa.table([pa.array([b"x"])] * len(fields), schema=pa.schema(fields))
    pq.write_table(rows, path)
    with pa.OSFile(str(path.with_suffix(".arrow")), "wb") as sink:
        with pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)


def numbers(payload: bytes, path: Path) -> None:
    path.write_bytes(payload)
    path.with_suffix(".arrow").write_bytes(payload)


READERS: dict[str, Callable[[Path], object]] = {
    "a checkpoint": weights.read,
    "an encoder": encoder.load,
    "features": lambda path: parquet.read(path, path),
    "embeddings": neighbours.read_about,
    "a log": partial(_table, columns=["step"]),
    "a table": lambda path: Table(path=str(path), split=None).load(path.parent),
    "images to embed": lambda path: list(sources.open_source(path, Preprocessing((3, 8, 8))).parts),
    "prepared images": lambda path: images.read(path.with_suffix(".arrow")),
    "settings": load,
}


@pytest.mark.parametrize("write", [arrow, numbers])
@pytest.mark.parametrize("name", READERS)
def test_a_pickle_in_its_place_is_not_unpickled(name, write, tmp_path):
    marker = tmp_path / "called"
    payload = pickle.dumps(Call(os.system, f"touch {marker}"))
    write(payload, tmp_path / "file.parquet")
    with suppress(UserError):
        READERS[name](tmp_path / "file.parquet")
    assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists()  # it would have been noticed


def test_what_others_load_by_default_is_refused_too(tmp_path):
    """What torch and NumPy do when they are not told otherwise, in the versions of the lock."""
    np.save(tmp_path / "x.npy", np.array([Call(print, "called")]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        np.load(tmp_path / "x.npy")
    torch.save(Call(print, "called"), tmp_path / "x.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(tmp_path / "x.pt")
