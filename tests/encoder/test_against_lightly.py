"""Features against lightly's networks, of the same weights file and the same images.

lightly is no dependency: `make .venv/bench` installs it aside. `pytest -s` prints the table, which
is kept in reports/conformance.md.
"""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.models import about
from support.project import ROOT
from unlabel.data.images import Images
from unlabel.encoder import Encoder
from unlabel.encoder._start import Start
from unlabel.encoder._tokens import Tokens

LIGHTLY = ROOT / ".venv/bench"
NAME = "vit_tiny_patch16_224"
WITHIN = 1e-5


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights go. lightly can be imported."""
    if not (LIGHTLY / "lightly").is_dir():
        pytest.skip("needs lightly: make .venv/bench")
    monkeypatch.setattr(sys, "path", [*sys.path, str(LIGHTLY)])
    monkeypatch.setenv("LIGHTLY_DID_VERSION_CHECK", "True")  # or it asks its server
    torch.manual_seed(0)
    return tmp_path / "w.pth"


def ours(file: Path, images: Images, encoder: dict, **start: object) -> Encoder:
    """The encoder of `encoder`, with the weights in the file."""
    from_file = Start(str(file), mean=(0.5,) * 3, std=(0.5,) * 3, **start)
    return from_file.encoder(encoder, about(images)).eval()


def resnet(file: Path, images: Images, x: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    from lightly.models import ResNetGenerator

    net = ResNetGenerator("resnet-18").train()
    net((x - 0.5) / 0.5)  # for the statistics of batch norm
    torch.save(net.eval().state_dict(), file)
    net.linear = nn.Identity()
    settings = {"_target_": "unlabel.encoder.resnet.ResNet", "depth": 18}
    here = ours(file, images, settings, allow=["unused"], match="order")
    return [("resnet.ResNet, features", here(x), net((x - 0.5) / 0.5))]


def masked(file: Path, images: Images, x: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    import timm
    from lightly.models.modules import MaskedVisionTransformerTIMM

    keep, mask = torch.rand(len(x), 16).argsort(1)[:, :6], torch.rand(len(x), 16) < 0.5
    keep_, mask_ = F.pad(keep + 1, (1, 0)), F.pad(mask, (1, 0))  # the class token stays
    large = F.interpolate(x, 64, mode="bilinear", antialias=True)
    found = []
    for name, settings, shape, seen in (
        ("timm.Timm", {"model": NAME, "resize": 64}, {"img_size": 64}, large),
        ("vit.ViT", {"patch": 8, "depth": 2}, {"img_size": 32, "patch_size": 8, "depth": 2}, x),
    ):
        net = timm.create_model(NAME, num_classes=0, **shape)
        there, seen = MaskedVisionTransformerTIMM(net).eval(), (seen - 0.5) / 0.5
        torch.save(net.state_dict(), file)
        here = ours(file, images, {"_target_": f"unlabel.encoder.{name}"} | settings)
        assert isinstance(here, Tokens)
        token = nn.init.normal_(there.mask_token).flatten()
        found += [
            (f"{name}, all tokens", here.tokens(x), there.encode(seen)),
            (f"{name}, 6 of 16 patches", here.tokens(x, keep), there.encode(seen, idx_keep=keep_)),
            (f"{name}, a mask", here.masked(x, mask, token), there.encode(seen, mask=mask_)),
        ]
        if "timm" in name:
            found.append(("timm.Timm, features", here(x), there(seen)))
    return found


@torch.no_grad()
def test_features_are_lightlys(file: Path, digits: Images, hardware: object) -> None:
    pixels = digits.image[:64].repeat(1, 3, 2, 2)
    images = digits._replace(image=pixels, label=digits.label[:64], id=digits.id[:64])
    print("\n| features | largest | largest difference |\n|---|---|---|")
    wrong = []
    for made in (resnet, masked):
        for name, here, there in made(file, images, pixels / 255):
            off = float((here - there).abs().max())
            print(f"| {name} | {float(there.abs().max()):.3g} | {off:.0e} |")
            if off > WITHIN or here.shape != there.shape:
                wrong.append(name)
    assert not wrong
