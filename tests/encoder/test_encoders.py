"""Encoders obey one interface, and their files load into plain torchvision."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from support.models import about, assembled, composed
from unlabel.data.images import Data
from unlabel.encoder import Encoder, compile_passes, load, save
from unlabel.encoder.vit import ViT


@pytest.mark.parametrize("name", ["resnet_mini", "resnet18", "resnet50", "vit_tiny", "vit_small"])
@pytest.mark.parametrize("channels", [1, 3])
def test_encoders_obey_their_interface_and_survive_a_file(name, channels, digits, tmp_path):
    pixels = digits.image[:3].repeat(1, channels, 2, 2)
    data = about(digits._replace(image=pixels, label=digits.label[:3], id=digits.id[:3]))
    settings = composed("simclr", f"encoder={name}", budget="quick")
    encoder = assembled(settings, data).encoder.eval()
    x = pixels / 255
    with torch.no_grad():
        h, maps = encoder(x), encoder.maps(x)
    assert h.shape == (3, encoder.dim)
    assert maps.shape[:2] == (3, encoder.dim)
    save(tmp_path / "a.safetensors", encoder, settings["encoder"])
    save(tmp_path / "b.safetensors", load(tmp_path / "a.safetensors"), settings["encoder"])
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "b.safetensors")(x), h)


def test_an_encoder_loads_into_plain_torchvision(digits, tmp_path):
    import torchvision
    from safetensors.torch import load_file

    pixels = digits.image[:2].repeat(1, 3, 2, 2)
    data = about(digits._replace(image=pixels, label=digits.label[:2], id=digits.id[:2]))
    settings = composed("simclr", "encoder=resnet18", budget="quick")
    encoder = assembled(settings, data).encoder.eval()
    save(tmp_path / "encoder.safetensors", encoder, settings["encoder"])

    net = torchvision.models.resnet18(num_classes=1)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    net.fc = nn.Identity()
    net.load_state_dict(load_file(tmp_path / "encoder.safetensors"))
    x = pixels / 255
    with torch.no_grad():
        assert torch.allclose(net.eval()((x - 0.3) / 0.37), encoder(x), atol=1e-5)


def test_resnet_mini_is_as_small_as_it_says(digits):
    encoder = assembled(composed("simclr", budget="quick"), about(digits)).encoder
    assert 70_000 < sum(p.numel() for p in encoder.parameters()) < 90_000
    assert encoder.dim == 64


def test_tokens_of_some_patches_alone(digits):
    data = about(digits)
    settings = composed("simclr", "encoder=vit_tiny", budget="quick")
    encoder = assembled(settings, data).encoder.eval()
    x = digits.image[:2] / 255
    with torch.no_grad():
        every = encoder.tokens(x)
        same = encoder.tokens(x, torch.arange(16).expand(2, -1))
        some = encoder.tokens(x, torch.tensor([[0, 5], [3, 2]]))
    assert every.shape == (2, 17, 192)
    assert torch.allclose(every, same, atol=1e-5)
    assert some.shape == (2, 3, 192)


@pytest.mark.parametrize("size", [(16, 16), (20, 12), (48, 32)], ids=str)
def test_positions_are_resized_as_bicubic_interpolation_does(size):
    data = Data("t", (1, 32, 32), (0.5,), (0.3,), ("a",), 1, "", {})
    encoder = ViT(data, patch=4, dim=24, depth=1, heads=2)
    position = torch.randn(1, 64, 24, requires_grad=True)
    grid = position.mT.unflatten(2, (8, 8))
    expected = F.interpolate(grid, (size[0] // 4, size[1] // 4), mode="bicubic").flatten(2).mT
    found = encoder._resized(position, torch.zeros(2, 1, *size))
    assert torch.allclose(found, expected, atol=1e-5)
    weight = torch.randn_like(found)
    slopes = [torch.autograd.grad((x * weight).sum(), position)[0] for x in (found, expected)]
    assert torch.allclose(*slopes, atol=1e-4)


class Small(Encoder):
    """One convolution with batch norm."""

    def __init__(self, data: Data):
        super().__init__(data)
        self.dim = 4
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        return self.stem(self.normalise(x))


@pytest.mark.filterwarnings("ignore:Guards may run slower")  # what torch says of Python 3.13.0
def test_a_compiled_encoder_trains_alike_and_has_the_same_names(monkeypatch):
    """All of torch's compiler but the C++ that it writes, which takes g++ 17 s of a core."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    data = Data("t", (1, 8, 8), (0.5,), (0.3,), ("a",), 1, "", {})
    plain = Small(data)
    compiled = copy.deepcopy(plain)
    compile_passes(nn.Sequential(compiled, nn.Linear(4, 2)))
    x = torch.rand(6, 1, 8, 8)
    made = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for encoder in (plain, compiled):
        encoder(x).square().sum().backward()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == made + 1
    assert torch.allclose(plain.stem[0].weight.grad, compiled.stem[0].weight.grad, atol=1e-5)
    state, other = plain.state_dict(), compiled.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.allclose(state[key], other[key], atol=1e-6) for key in state)
    assert torch.allclose(plain.eval()(x), compiled.eval()(x), atol=1e-6)  # neither is compiled
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == made + 1
