"""Images a second of SimCLR with ResNet-18 on CIFAR-sized images, and what is not the encoder.

Batch 512, bfloat16, channels last, on a GPU. Where there is none, a few small images on the CPU: so
the code is tested, and nothing is reported as measured. `python tests/bench/gpu.py` prints it.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from row import Row
from torch import nn

from unlabel.data.images import Data, Images
from unlabel.hardware import Hardware
from unlabel.params import compose
from unlabel.params.settings import build
from unlabel.training.loop import Training, fit

PARAMS = Path(__file__).parents[2] / "params"
TITLE = "GPU: SimCLR, ResNet-18, 32×32 colour, batch 512"


def measure() -> Iterator[Row]:
    """The step, its share beside the encoder's passes, and how long the GPU waits for the CPU."""
    if torch.cuda.is_available():
        yield from step(512, "resnet18", 50)
    else:
        list(step(16, "resnet_mini", 2))
        print("not measured: there is no GPU here; the code ran on the CPU at a tiny size")


def step(batch: int, encoder: str, steps: int) -> Iterator[Row]:
    """Measure a batch size and an encoder over so many steps, on the GPU where there is one."""
    settings = compose.settings(PARAMS, "quick", "fashion_mnist", "simclr", f"encoder={encoder}")
    hardware: Hardware = build(settings["hardware"]).resolve()
    hardware.configure()
    pixels = torch.randint(256, (2 * batch, 3, 32, 32), dtype=torch.uint8)
    images = hardware.hold(
        Images.of(torch.arange(2 * batch), pixels, torch.zeros(2 * batch, dtype=torch.int64))
    )
    data = Data("random", (3, 32, 32), (0.5,) * 3, (0.3,) * 3, ("a", "b"), 2 * batch, "", {})
    method = build(settings["method"], encoder=build(settings["encoder"], data=data), data=data)
    hardware.move(method)
    loop = fit(
        method,
        images,
        [build(settings["optimizer"], module=method)],
        Training(10**6, batch),
        hardware,
        0,
    )
    views = hardware.pixels(images.image).to(memory_format=torch.channels_last)
    whole = seconds(lambda: next(loop), steps, hardware)
    alone = seconds(lambda: passes(method.encoder, views, hardware), steps, hardware)
    yield Row("a step", "the open record's 4,200 on an A100", batch / whole, 4200, "images/s")
    beside, allowed = 100 * (whole - alone) / whole, 5
    yield Row(
        "of a step, not the encoder's passes", "the limit we set", beside, allowed, "% of it", 1
    )
    waits = 100 * (1 - busy(lambda: next(loop), steps) / (steps * whole))
    yield Row("of a step, the GPU waits", "the limit we set", waits, allowed, "% of it", 1)


def passes(encoder: nn.Module, views: torch.Tensor, hardware: Hardware) -> None:
    """The encoder, forwards and backwards, on two views of each image."""
    with hardware.autocast():
        encoder(views).float().sum().backward()


def seconds(function: Callable[[], object], steps: int, hardware: Hardware) -> float:
    """The median time of a call, of several runs of some calls."""
    found = []
    for _ in range(4):
        wait(hardware)
        began = time.perf_counter()
        for _ in range(steps):
            function()
        wait(hardware)
        found.append((time.perf_counter() - began) / steps)
    return median(found[1:])


def wait(hardware: Hardware) -> None:
    """Until the GPU has done what it was asked for."""
    if hardware.device != "cpu":
        torch.cuda.synchronize()


def busy(function: Callable[[], object], steps: int) -> float:
    """For how many seconds of some calls the device computes."""
    on_gpu = torch.cuda.is_available()
    kinds = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kinds.CUDA if on_gpu else kinds.CPU]) as profile:
        for _ in range(steps):
            function()
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return sum(getattr(event, name) for event in profile.key_averages()) / 1e6
