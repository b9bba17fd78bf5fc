"""The runs that the check makes, with settings that were resolved where hydra is."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unlabel import encoder
from unlabel.data import images as stored
from unlabel.data.images import Data, Images
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.params.settings import build
from unlabel.training.loop import Step, Training, fit

CUDA = torch.cuda.is_available()
CLASSES = tuple("abcdefghij")
TIMED = ("simclr", "moco", "byol", "barlow", "swav", "dino", "rotation", "mae_vit_tiny")
VARIANTS = {  # name -> budget, method, variant, on cifar10
    **{m: ("full", m, "base") for m in TIMED[:6]},
    "rotation": ("full", "rotation", "training.batch=512"),
    "mae_vit_tiny": ("full", "mae", "encoder=vit_tiny"),
    "inpainting": ("full", "inpainting", "base"),
    "dino_vit_crops": ("full", "dino", "encoder=vit_tiny+method.crops=2"),
    "swav_crops": ("full", "swav", "method.crops=2"),
    **{
        f"quick_{m}": ("quick", m, "encoder=resnet_mini")
        for m in ("simclr", "moco", "byol", "barlow", "swav", "autoencoder", "rotation")
    },
}


class Runs:
    """Trainings with the settings of `VARIANTS`; a smoke test makes all of them tiny."""

    def __init__(self, settings: dict[str, Any], smoke: bool):
        self.settings, self.smoke = settings, smoke

    def batch(self, name: str) -> int:
        """Images a step."""
        return 16 if self.smoke else 256 if name.startswith("quick") else 512

    def of(self, name: str) -> dict[str, Any]:
        """The settings of a run."""
        found: dict[str, Any] = self.settings[name]
        if self.smoke and "ResNet" in found["encoder"]["_target_"]:
            found = found | {"encoder": {"_target_": "unlabel.encoder.resnet_mini.ResNetMini"}}
        if self.smoke and "ViT" in found["encoder"]["_target_"]:
            found = found | {"encoder": found["encoder"] | {"dim": 24, "depth": 2, "heads": 2}}
        return found

    def make(
        self,
        name: str,
        data: Data,
        device: str = "auto",
        precision: Any = "auto",
        compile: bool = False,
    ) -> tuple[Method, list[torch.optim.Optimizer], Hardware]:
        """A method on the device, as `unlabel pretrain` makes it, and its optimizers."""
        settings = self.of(name)
        hardware = Hardware(device=device, precision=precision, compile=compile).resolve()
        hardware.configure()
        torch.manual_seed(0)
        backbone = build(settings["encoder"], "encoder", data=data)
        method: Method = build(settings["method"], "method", encoder=backbone, data=data)
        hardware.move(method)
        if compile:
            encoder.compile_passes(method)
        method.train()
        return method, [build(settings["optimizer"], module=p) for p in method.players()], hardware

    def loop(self, name: str, batch: int, **how: Any) -> tuple[Method, Hardware, Iterator[Step]]:
        """A method, and its training without an end, of which no step is logged."""
        images, data = random_images(4 * batch)
        method, optimizers, hardware = self.make(name, data, **how)
        training = Training(10**6, batch, clip=self.of(name)["training"].get("clip"))
        held = hardware.hold(images)
        steps = fit(method, held, optimizers, training, hardware, 0, logged=lambda number: False)
        return method, hardware, steps


def random_images(n: int, shape: tuple[int, int, int] = (3, 32, 32)) -> tuple[Images, Data]:
    """Random pixels of ten classes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=generator)
    data = Data("random", shape, (0.5,) * 3, (0.25,) * 3, CLASSES, n, "", {})
    return Images.of(torch.arange(n), pixels, torch.arange(n) % len(CLASSES)), data


def splits(folder: Path | None, smoke: bool) -> dict[str, tuple[Images, Data]] | None:
    """The splits in a folder of Arrow files, if one was given; few images of each in a smoke."""
    if folder is None:
        return None
    found = {}
    for name in ("train", "validation", "test"):
        images, data = stored.read(folder / f"{name}.arrow")
        found[name] = (images.take(slice(400)) if smoke else images, data)
    return found


def wait() -> None:
    """Until the GPU has done what it was asked for."""
    if CUDA:
        torch.cuda.synchronize()


def seconds(function: Callable[[], object], calls: int, rounds: int = 3) -> float:
    """The median time of a call, of several rounds of some calls."""
    found = []
    for _ in range(rounds):
        wait()
        began = time.perf_counter()
        for _ in range(calls):
            function()
        wait()
        found.append((time.perf_counter() - began) / calls)
    return sorted(found)[len(found) // 2]


def encoder_calls(
    method: nn.Module, function: Callable[[], object]
) -> list[tuple[tuple[int, ...], bool]]:
    """The shapes that encoders see in a step, and whether gradients were wanted."""
    calls: list[tuple[tuple[int, ...], bool]] = []

    def seen(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        calls.append((tuple(inputs[0].shape), torch.is_grad_enabled()))

    encoders = [each for each in method.modules() if isinstance(each, encoder.Encoder)]
    hooks = [each.register_forward_pre_hook(seen) for each in encoders]
    function()
    for hook in hooks:
        hook.remove()
    return calls
