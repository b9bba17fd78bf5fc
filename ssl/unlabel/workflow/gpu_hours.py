"""How long trainings would take on one GPU, by arithmetic. Nothing here was measured.

A training step costs three passes through the encoder for each view of an image, forward and twice
backward, and one more where a momentum encoder sees the view, too. Heads and decoders are left out.
So are trainings that share a GPU: there the time goes into launching kernels, not into operations.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from unlabel.run import Run
from unlabel.units import duration, number
from unlabel.workflow.engine.planned_jobs import Job
from unlabel.workflow.plan import Plan

RATE = 133e12  # operations a second: 20,000 images/s of SimCLR with a ResNet-18 of 32 pixels
GPU = "one H100"  # whose bfloat16 that is an aim for
IMAGES = 10_000_000  # shown in all trainings; fewer are no matter for a GPU
PIXELS, MANY = 32, 50_000  # of images, where that is not known: as in CIFAR-10


def sentence(plan: Plan, jobs: Iterable[Job]) -> str:
    """What the trainings among these jobs would cost; empty if that is too little to speak of."""
    runs = [job.run for job in jobs if job.run and job.trains]
    alone = (run for run in runs if plan.trains(run) and plan.placement(run).runs_per_gpu == 1)
    shown = {run: _shown(plan, run) for run in alone}
    if sum(shown.values()) < IMAGES:
        return ""
    total = sum(images * _operations(plan, run) for run, images in shown.items())
    hours, rate = duration(total / RATE), number(RATE / 1e12, 0)
    return (
        f"by arithmetic, not measured: about {hours} on {GPU}, for {number(total / 1e15, 0)} "
        f"PFLOP of the encoders at {rate} TFLOP/s"
    )


def _shown(plan: Plan, run: Run) -> int:
    """How many images a training is shown, each as often as there are epochs."""
    training = plan.trained_by(run)["training"]
    there = (plan.datasets.expected(run.dataset).images or {}).get("train")
    counts = [count for count in (training["images"], there) if count]
    return int(training["epochs"] * min(counts, default=MANY))


def _operations(plan: Plan, run: Run) -> float:
    """What one image costs in a training step."""
    settings, size = plan.settings(run), plan.datasets.expected(run.dataset).size
    passes = views(settings.get("about") or {}, settings["method"])
    return passes * forward(json.dumps(settings["encoder"]), size or (PIXELS, PIXELS))


def views(about: Mapping[str, Any], method: Mapping[str, Any]) -> float:
    """Forward passes that one image costs in a step; a backward pass counts as two."""
    made = method.get("views") or about.get("views") or 1
    made += method.get("crops") or 0
    return float(made * (3 + bool(about.get("momentum_encoder"))))


@cache
def forward(encoder: str, size: tuple[int, int]) -> float:
    """Operations of one pass of a colour image through an encoder, whose settings are JSON."""
    with suppress(NotImplementedError):  # torchvision's RegNets compute with tensors when made
        return _counted(encoder, size, "meta")
    return _counted(encoder, size, "cpu")


def _counted(encoder: str, size: tuple[int, int], device: str) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from unlabel.data.images import Data
    from unlabel.params.settings import build

    data = Data("", (3, *size), (0.5,) * 3, (0.5,) * 3, (), 0, "", {})
    with torch.device(device), FlopCounterMode(display=False) as counted:
        with torch.random.fork_rng(devices=[]):
            build(json.loads(encoder), "encoder", data=data).eval()(torch.zeros(1, *data.shape))
    return float(counted.get_total_flops())
