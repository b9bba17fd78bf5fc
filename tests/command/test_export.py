"""Encoders leave as files that other programs read, and give the same features there."""

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
import yaml
from safetensors.torch import load_file

from support.commands import refused
from support.models import PARAMS, PRETRAIN, about, assembled, composed
from unlabel import encoder as encoders
from unlabel import weights
from unlabel import weights as checkpoint
from unlabel.cli import main
from unlabel.command.export import FORMATS
from unlabel.data.decode import Preprocessing
from unlabel.data.images import Images
from unlabel.encoder import Encoder
from unlabel.params import compose

README = (Path(__file__).parents[2] / "data/README.md").read_text(encoding="utf-8")


def a_run(
    folder: Path, digits: Images, name: str, channels: int = 1, repeat: int = 1
) -> tuple[Path, Encoder]:
    """A run's folder as `pretrain` leaves it, but that its encoder has only seen images go by."""
    pixels = digits.image[:8].repeat(1, channels, 1, 1)
    pixels = pixels.repeat_interleave(repeat, 2).repeat_interleave(repeat, 3)
    data = about(digits.take(torch.arange(8))._replace(image=pixels))
    data = replace(data, preprocessing=Preprocessing(data.shape, "pad", (0, 4095)).record())
    # Two layers of a transformer show what twelve would.
    shallow = "encoder.depth=2+" if name.startswith("vit") else SMALL.get(name, "")
    settings = composed("simclr", f"{shallow}encoder={name}", "quick")
    settings = {"run": "test", **{key: settings[key] for key in PRETRAIN}}
    method = assembled(settings, data)
    method.train().encoder(pixels / 255)  # for the statistics of batch norm
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    encoders.save(folder / "encoder.safetensors", method.encoder, settings["encoder"])
    rest = {k: v for k, v in weights.of(method).items() if not k.startswith("encoder.")}
    checkpoint.write(folder / "method.safetensors", rest, {"method": settings["method"]})
    return folder, method.encoder.eval()


def export(run: Path, suffix: str) -> Path:
    out = run / "out" / f"encoder{suffix}"
    main(["export", "--run", str(run), "--out", str(out)])
    return out


# Up to 64 pixels a ResNet has another stem: one of them sees larger ones, in colour.
# `own` has no network of its own, and timm's test networks are the smallest.
SHAPES = [
    (name, *((3, 5) if name == "resnet18" else (1, 1)))
    for name in compose.names(PARAMS, "encoder")
    if name != "own" and find_spec(name if name == "timm" else "torch")
]
SMALL = {"timm": "encoder.model=test_efficientnet+"}


@pytest.mark.parametrize(("name", "channels", "repeat"), SHAPES)
def test_programs_give_the_encoders_features_of_any_number_of_images(
    name, channels, repeat, digits, tmp_path
):
    run, encoder = a_run(tmp_path / "run", digits, name, channels, repeat)
    program = torch.export.load(export(run, ".pt2")).module()
    session = onnxruntime.InferenceSession(export(run, ".onnx"))
    for size in (1, 2, 7):
        x = torch.rand(size, *encoder.data.shape, generator=torch.Generator().manual_seed(size))
        with torch.no_grad():
            h = encoder(x)
            assert torch.allclose(program(x), h, atol=1e-5)
        (ours,) = session.run(["h"], {"images": x.numpy()})
        assert torch.allclose(torch.from_numpy(ours), h, atol=1e-4)
        assert h.std() > 1e-3


def test_weights_have_torchvisions_names(digits, tmp_path):
    run, encoder = a_run(tmp_path / "run", digits, "resnet18")
    out = export(run, ".safetensors")
    names = load_file(out).keys()
    assert {"conv1.weight", "layer4.1.bn2.running_var"} <= names
    x = torch.rand(2, *encoder.data.shape)
    with torch.no_grad():
        assert torch.equal(encoders.load(out)(x), encoder(x))


@pytest.fixture(scope="module")
def small(digits, tmp_path_factory):
    """The exported files of a run, by their suffix."""
    run, _ = a_run(tmp_path_factory.mktemp("export") / "run", digits, "resnet_mini")
    return {suffix: export(run, suffix) for suffix in FORMATS}


def test_files_say_what_they_are_of(small):
    settings = yaml.safe_load((small[".pt2"].parents[1] / "params.yaml").read_text())
    extra = {"unlabel.json": ""}
    torch.export.load(small[".pt2"], extra_files=extra)
    properties = {p.key: p.value for p in onnx.load(small[".onnx"]).metadata_props}
    _, weights = checkpoint.read(small[".safetensors"])
    for said in (json.loads(extra["unlabel.json"]), json.loads(properties["unlabel"]), weights):
        assert said["settings"] == settings
        assert said["data"]["classes"] == [str(digit) for digit in range(8)]
        assert (said["data"]["mean"], said["data"]["std"]) == ([0.3], [0.37])
        assert len(said["encoder_sha256"]) == 64
        assert said["data"]["preprocessing"] == {
            "size": [16, 16],
            "channels": 1,
            "fit": "pad",
            "resampling": "bicubic, antialiased",
            "range": [0, 4095],
            "background": "white",
        }


def test_onnx_is_valid_and_names_what_goes_in_and_out(small):
    model = onnx.load(small[".onnx"])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (images,), (h,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape) == ("images", ["batch", 1, 16, 16])
    assert (h.name, h.shape) == ("h", ["batch", 64])
    assert not list(small[".onnx"].parent.glob("*.data"))  # its weights are inside


def test_a_program_needs_no_unlabel(small):
    code = (
        "import sys, torch; sys.modules['unlabel'] = None; "
        f"program = torch.export.load({str(small['.pt2'])!r}).module(); "
        "print(program(torch.rand(3, 1, 16, 16)).shape)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "torch.Size([3, 64])", done.stderr


def test_a_program_carries_no_code(small):
    """What torch.export.load would unpickle: a part marked so, or the example inputs."""
    with zipfile.ZipFile(small[".pt2"]) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, content in parts.items():
        assert not content.startswith((b"\x80", b"PK")), name  # a pickle, and torch.save's archive
    configs = [json.loads(parts[name]) for name in parts if name.endswith("config.json")]
    tensors = [each for config in configs for each in config["config"].values()]
    assert len(tensors) > 20
    assert not any(each["use_pickle"] for each in tensors)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_run_gives_the_same_bytes_and_names_no_folder(suffix, small):
    run, before = small[suffix].parents[1], small[suffix].read_bytes()
    assert export(run, suffix).read_bytes() == before
    assert str(Path(encoders.__file__).parents[2]).encode() not in before
    assert str(run).encode() not in before


def lines(beginning: str) -> str:
    """The code in data/README.md that begins so."""
    return re.search(rf"```python\n({re.escape(beginning)}.*?)```", README, re.DOTALL).group(1)


def test_the_readmes_lines_load_an_encoder_into_plain_torchvision(digits, tmp_path, monkeypatch):
    run, encoder = a_run(tmp_path / "run", digits, "resnet18")
    monkeypatch.chdir(run)
    names: dict = {}
    exec("import safetensors.torch, torchvision\nfrom torch import nn", names)
    exec(lines("net = torchvision"), names)
    x = torch.rand(2, *encoder.data.shape)
    with torch.no_grad():
        assert torch.allclose(names["net"].eval()((x - 0.3) / 0.37), encoder(x), atol=1e-5)


def test_the_readmes_lines_run_a_program(small, monkeypatch):
    monkeypatch.chdir(small[".pt2"].parent)
    names = {"images": torch.rand(2, 1, 16, 16), "torch": torch, "onnxruntime": onnxruntime}
    first, second = lines("h = torch.export").splitlines()
    exec(first, names)
    before = names["h"].detach()
    exec(second, names)
    assert torch.allclose(torch.from_numpy(names["h"]), before, atol=1e-5)


OWN = """
import torch
from torch import nn

class Bright(nn.Conv2d):
    def __init__(self):
        super().__init__(1, 4, 3)

    def forward(self, x):
        return super().forward(x) if x.mean() > 0.5 else -super().forward(x)

class Turned(Bright):
    def forward(self, x):
        return torch.linalg.svd(nn.Conv2d.forward(self, x))[0]
"""


def test_a_network_that_is_no_graph_is_refused(digits, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params/encoder").mkdir(parents=True)
    (tmp_path / "params/encoder/net.py").write_text(OWN)
    monkeypatch.setitem(SMALL, "own", "encoder.file=net.py+encoder.model=Bright+")
    bright, _ = a_run(tmp_path / "bright", digits, "own")
    for suffix in (".pt2", ".onnx"):
        said = refused(
            capsys, "export", "--run", str(bright), "--out", str(tmp_path / f"e{suffix}")
        )
        assert "cannot make a graph of this encoder (Could not guard on data-depend" in said
        assert said.endswith("write its weights, to a .safetensors file")
    assert export(bright, ".safetensors").exists()
    monkeypatch.setitem(SMALL, "own", "encoder.file=net.py+encoder.model=Turned+")
    turned, _ = a_run(tmp_path / "turned", digits, "own")
    assert export(turned, ".pt2").exists()
    said = refused(capsys, "export", "--run", str(turned), "--out", str(tmp_path / "e.onnx"))
    assert "as ONNX (No ONNX function found for <OpOverload(op='aten._linalg_svd'" in said
    assert not list(tmp_path.glob("e.*"))


def test_a_mistake_is_one_sentence_and_writes_nothing(digits, tmp_path, capsys, monkeypatch):
    small, _ = a_run(tmp_path / "run", digits, "resnet_mini")
    words = ["export", "--run", str(small), "--out"]
    out = tmp_path / "out"
    assert "must end in .safetensors, .pt2, .onnx" in refused(capsys, *words, str(out / "e.pth"))
    (tmp_path / "file").touch()
    inside = str(tmp_path / "file" / "e.pt2")
    assert f"file is a file, so {inside} cannot be in it" in refused(capsys, *words, inside)
    said = refused(capsys, *words, f"{'n' * 240}.onnx")
    assert said.startswith(
        "error: nnnnnnnnnnnnnnnnnnnn... is a name of 245 bytes; choose one of 180"
    )
    os.mkfifo(tmp_path / "pipe.pt2")
    said = refused(capsys, *words, str(tmp_path / "pipe.pt2"))
    assert "is a device or a pipe, not a file; name a file" in said
    nowhere = ["export", "--run", str(tmp_path / "no"), "--out", str(out / "e.pt2")]
    assert "is not a folder; pass the folder of a trained run" in refused(capsys, *nowhere)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    said = refused(capsys, *words, str(out / "e.onnx"))
    assert said.endswith("needs onnxscript: pip install -e '.[export]'")
    (small / "encoder.safetensors").write_bytes(b"hello")
    assert "is damaged" in refused(capsys, *words, str(out / "e.pt2"))
    (small / "encoder.safetensors").unlink()
    assert "has no encoder.safetensors" in refused(capsys, *words, str(out / "e.pt2"))
    assert not out.exists()
