"""A network of one's own runs code: loudly, and only from the folder that is made for it."""

import json
from pathlib import Path

import pytest
import torch

from support.models import about, composed, noise
from unlabel import encoder, weights
from unlabel.errors import UserError
from unlabel.params.settings import build
from unlabel.params.start import digest

NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, channels):
        super().__init__(nn.Conv2d(channels, 6, 3, 2), nn.ReLU())

class Flat(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 3))
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params/encoder/net.py"
    path.parent.mkdir(parents=True)
    path.write_text(NET)
    return path


def settings(**changes: object) -> dict:
    own = composed("simclr", "encoder.file=net.py+encoder.model=Net+encoder=own")["encoder"]
    return own | changes


def test_it_has_the_interface_of_an_encoder_and_says_that_it_runs_code(code, tmp_path, capsys):
    data = about(noise((2, 8, 8), 4))
    own, x = build(settings(), data=data), torch.rand(3, 2, 8, 8)
    assert "encoder=own runs the code in params/encoder/net.py" in capsys.readouterr().err
    assert (own.dim, own(x).shape, own.maps(x).shape) == (6, (3, 6), (3, 6, 3, 3))
    flat = build(settings(model="Flat"), data=about(noise((1, 8, 8), 4)))
    assert (flat.dim, flat.maps(torch.rand(3, 1, 8, 8)).shape) == (3, (3, 3, 1, 1))
    encoder.save(tmp_path / "e.safetensors", own, settings())
    assert torch.equal(encoder.load(tmp_path / "e.safetensors")(x), own.eval()(x))


def test_wrong_files_and_classes_are_one_sentence(code):
    data = about(noise((1, 9, 9), 4))
    for changes, why in (
        ({"file": None}, "encoder.file is null; name a Python file in params/encoder"),
        ({"file": "no.py"}, "encoder.file is 'no.py', but must be the name of a Python file"),
        ({"model": "Nett"}, "encoder.model is 'Nett', .*did you mean 'Net'"),
        ({"model": "Flat"}, "Flat cannot see images of 1 x 9 x 9: mat1 and mat2"),
        ({"sha256": "0" * 64}, "net.py, or what it imports, was changed since this encoder"),
    ):
        with pytest.raises(UserError, match=why):
            build(settings(**changes), data=data)
    code.write_text("1 / 0")
    with pytest.raises(UserError, match="net.py cannot be run: ZeroDivisionError: division by zer"):
        build(settings(), data=data)


@pytest.mark.parametrize("file", ["../../evil.py", "{0}/evil.py", "evil.py", "x/../net.py"])
def test_an_encoder_from_elsewhere_can_name_no_other_code(code, tmp_path, file):
    (tmp_path / "evil.py").write_text("from pathlib import Path; Path('ran').touch()")
    data = about(noise((1, 8, 8), 4))
    path = tmp_path / "e.safetensors"
    told = settings(file=file.format(tmp_path))
    weights.write(path, {}, json.loads(json.dumps({"encoder": told, "data": data.record()})))
    with pytest.raises(UserError, match="only code that you have put there is run"):
        encoder.load(path)
    assert not (tmp_path / "ran").exists()


BLOCKS = """
from torch import nn
from unlabel.nn.layers import mlp
from . import layers

def block(channels):
    return nn.Conv2d(channels, layers.WIDTH, 3)
"""
IMPORTS = """
from torch import nn
from blocks import block

class Net(nn.Sequential):
    def __init__(self, channels):
        super().__init__(block(channels))
"""


def test_what_it_imports_is_found_in_its_folder_and_counts(code):
    code.write_text(IMPORTS)
    blocks = code.parent / "blocks"
    blocks.mkdir()
    (blocks / "__init__.py").write_text(BLOCKS)
    (blocks / "layers.py").write_text("WIDTH = 5")
    path, data = Path("params/encoder/net.py"), about(noise((2, 8, 8), 4))
    before = digest(path)
    assert build(settings(sha256=before), data=data).dim == 5
    assert not list(code.parent.rglob("__pycache__"))
    (blocks / "layers.py").write_text("WIDTH = 7")
    assert digest(path) != before
    with pytest.raises(UserError, match="net.py, or what it imports, was changed since"):
        build(settings(sha256=before), data=data)
    assert build(settings(), data=data).dim == 7


def test_what_no_import_statement_names_is_refused(code, tmp_path):
    (code.parent / "hidden_blocks.py").touch()
    code.write_text(NET + "\n__import__('hidden_blocks')")
    with pytest.raises(UserError, match="loads .*/hidden_blocks.py, but no import statement says"):
        build(settings(), data=about(noise((2, 8, 8), 4)))
    code.write_text(NET + "\nimport hidden_blocks")
    build(settings(), data=about(noise((2, 8, 8), 4)))
    (tmp_path / "hidden_blocks.py").write_text("if")
    with pytest.raises(UserError, match="hidden_blocks.py is no Python file: invalid syntax"):
        build(settings(), data=about(noise((2, 8, 8), 4)))
