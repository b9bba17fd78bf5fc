"""What computes on a GPU, on a stand-in for one."""

import json

import pytest
import torch
import yaml
from PIL import Image

from support.models import TRAINED, about, assembled, composed, noise
from support.on_gpu import DEVICE, OnGPU, StandIn, stand_in
from unlabel.command import embed, neighbors
from unlabel.data import masks
from unlabel.data.masks import Masks
from unlabel.params.settings import build
from unlabel.stage import features, finetune, measure, pretrain, probe, transfer
from unlabel.training.loop import Training, fit


def test_the_stand_in_refuses_what_a_gpu_would(monkeypatch):
    stand_in(monkeypatch)
    with StandIn():
        there, here = torch.rand(2, 3, 4, 4, device=DEVICE), torch.rand(2, 3, 4, 4)
        with pytest.raises(RuntimeError, match="add: tensors .* are on the GPU, and .* are not"):
            there + here
        with pytest.raises(RuntimeError, match="index: the indices are on the GPU"):
            here[torch.zeros(2, dtype=torch.int64, device=DEVICE)]
        with pytest.raises(RuntimeError, match="a CPU's generator cannot draw on a GPU"):
            torch.rand(2, generator=torch.Generator(), device=DEVICE)
        larger = torch.nn.functional.interpolate(there.requires_grad_(), (8, 8), mode="bilinear")
        with pytest.raises(RuntimeError, match="upsample_bilinear2d_backward does not have a det"):
            larger.sum().backward()
        assert torch.equal((there + here.to(DEVICE)).detach().cpu(), there.detach().cpu() + here)


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_computes_on_one_device_and_gives_the_same_bits(name, monkeypatch):
    hardware, images = stand_in(monkeypatch), noise((3, 32, 32), 8)
    settings = composed(name)
    with StandIn():
        method = hardware.move(assembled(settings, about(images)))
        optimizers = [build(settings["optimizer"], module=p) for p in method.players()]
        steps = fit(method, images, optimizers, Training(1, 8), hardware, 0)
        losses = [float(loss) for step in steps for loss in step.losses]
    assert torch.tensor(losses).isfinite().all()
    assert all(isinstance(weight, OnGPU) for weight in method.parameters())


@pytest.mark.parametrize("method", ["dino", "mae"])
def test_so_does_a_transformer_of_timm_that_sees_small_crops(method, monkeypatch):
    pytest.importorskip("timm")
    hardware, images = stand_in(monkeypatch), noise((3, 64, 64), 8)
    crops = "+method.crops=2+method.local.crop.size=32" if method == "dino" else ""
    settings = composed(method, f"encoder.model=test_vit+encoder=timm{crops}")
    with StandIn():
        method = hardware.move(assembled(settings, about(images)))
        (optimizer,) = [build(settings["optimizer"], module=p) for p in method.players()]
        (step,) = fit(method, images, [optimizer], Training(1, 8), hardware, 0)
        assert torch.tensor(float(step.losses[0])).isfinite()


def test_so_do_all_stages_of_a_run_and_what_is_asked_of_it(trained, digits, monkeypatch, capsys):
    stand_in(monkeypatch)
    settings = composed("simclr") | {"run": "simclr"}
    settings["hardware"] |= {"device": DEVICE, "precision": "float32"}
    settings["training"] |= {"images": 128, "batch": 64, "epochs": 2}
    settings["measure"]["detection"]["others"] = ["test"]
    ink = (digits.image[:, 0] > 100).to(torch.uint8)
    masks.write(trained / "masks.arrow", Masks(digits.id, ink, ("paper", "ink")))

    def run(stage, settings, **files):
        params = trained / "params.yaml"
        params.write_text(yaml.safe_dump(settings))
        stage.run(params, **{name: placed(file) for name, file in files.items()})

    def placed(file):
        return [*map(placed, file)] if isinstance(file, list) else trained / file

    splits = {name: f"{name}.arrow" for name in ("train", "validation", "test")}
    encoder, method = "run/encoder.safetensors", "run/method.safetensors"
    found = {"features": "features.parquet", "views": "views.parquet"}
    few = {name: settings["probe"][name] for name in settings["transfer"]["probes"]}
    seen = {name: splits[name] for name in ("train", "validation")}
    with StandIn():
        run(pretrain, settings, **seen, state="state", out="run")
        wanted = {"out": found["features"], "views": found["views"]}
        run(features, settings, **splits, encoder=encoder, method=method, **wanted)
        run(probe, settings, **found, out="out")
        run(finetune, settings, **splits, encoder=encoder, out="out/finetune.json")
        run(transfer, settings | {"probe": few}, **splits, encoder=encoder, out="out/transfer.json")
        given = {"encoder": encoder, **found, **splits}
        lists = {
            "segmentation": {"masks": ["masks.arrow"]},
            "detection": {"others": ["test.arrow"]},
        }
        for name, recipe in settings["measure"].items():
            asked = settings | {"measure": {name: recipe}}
            run(measure, asked, **given, **lists.get(name, {}), out=f"out/{name}.json")
        embed.run(trained / "run", trained / "test.arrow", trained / "embedded.parquet")
        Image.fromarray(digits.image[400, 0].numpy()).save(trained / "query.png")
        neighbors.run(trained / "embedded.parquet", [trained / "query.png"], trained / "run")
    nearest = capsys.readouterr().out.splitlines()[2].split()
    assert nearest[1:] == ["400", "1.000"]
    files = [*(trained / "out").iterdir()]
    assert len(files) == len(settings["probe"]) + len(settings["measure"]) + 2
    empty = {file.stem for file in files if not json.loads(file.read_text())}
    assert empty == {"factors"}  # digits have none
