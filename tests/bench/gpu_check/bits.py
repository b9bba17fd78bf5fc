"""Does a GPU give the same bits again, and nearly those of a CPU?"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_check.findings import Findings
from gpu_check.runs import CUDA, Runs, random_images
from unlabel import weights
from unlabel.data import images as stored
from unlabel.method import Batch
from unlabel.nn import distributed, draws
from unlabel.training.loop import update

HASHED = ("simclr", "moco", "byol", "swav_crops", "inpainting", "mae_vit_tiny", "dino_vit_crops")
COMPARED = ("simclr", "byol", "barlow", "swav", "autoencoder", "rotation")


def hashes(runs: Runs) -> dict[str, str]:
    """Of the weights of some runs after some steps."""
    found = {}
    for name in HASHED:
        method, _, loop = runs.loop(name, 16 if runs.smoke else 256)
        for _ in range(2 if runs.smoke else 12):
            next(loop)
        digest = hashlib.sha256()
        for _, tensor in sorted(weights.of(method).items()):
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        found[name] = digest.hexdigest()[:12]
    return found


def same_bits(findings: Findings, child: list[str]) -> None:
    """Do two processes come to the same weights? What cannot promise it is an error there."""
    jobs = [subprocess.Popen([*child, "hashes"], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    first, second = (json.loads(job.communicate()[0].splitlines()[-1]) for job in jobs)
    same = {name: first[name] == second[name] for name in first}
    findings.note("same bits in two processes", same)


def agreement(findings: Findings, runs: Runs, name: str) -> None:
    """In float32 and with the same draws: how far apart are five steps on the CPU and the GPU?"""
    images, data = random_images(64)
    losses: dict[str, list[float]] = {}
    ends: dict[str, dict[str, Tensor]] = {}
    start: dict[str, Tensor] = {}
    for device in ("cpu", "cuda" if CUDA else "cpu"):
        method, optimizers, hardware = runs.make(f"quick_{name}", data, device, "float32")
        start = {key: value.cpu().clone() for key, value in weights.of(method).items()}
        key = f"{device} {len(losses)}"
        losses[key] = []
        for number in range(5):
            torch.manual_seed(number)
            index = torch.arange(64)
            label = images.label[index].to(device)
            batch = Batch(hardware.pixels(images.image[index]), label, index.to(device), 0.1)
            with drawn_on_the_cpu(device):
                losses[key].append(float(update(method, [batch], optimizers, hardware)[0]))
        ends[key] = {each: value.cpu() for each, value in weights.of(method).items()}
    (ours, theirs), (a, b) = losses.values(), ends.values()
    moved = sum(float((a[k].double() - start[k].double()).square().sum()) for k in a)
    apart = sum(float((a[k].double() - b[k].double()).square().sum()) for k in a)
    far = max(abs(x - y) / max(abs(x), 1e-9) for x, y in zip(ours, theirs, strict=True))
    value = {"losses": ours, "losses apart": far, "weights apart": (apart / moved) ** 0.5}
    findings.note(f"CPU and GPU, {name}", value)


class drawn_on_the_cpu:
    """Inside, what a method draws for each image is drawn on the CPU, whatever the device."""

    def __init__(self, device: str):
        self.device = device

    def __enter__(self) -> None:
        self.before = draws.draw_rows, draws._empty

        def rows(images: int, draw: Callable[[int], Tensor]) -> Tensor:
            return distributed.draw_rows(images, draw).to(self.device)

        draws.draw_rows = rows
        draws._empty = lambda like, *shape: torch.empty(shape)

    def __exit__(self, *error: object) -> None:
        draws.draw_rows, draws._empty = self.before


def taken_up(findings: Findings, runs: Runs, work: Path, images: Path | None, ssl: Path) -> None:
    """`unlabel pretrain`, killed twice and taken up, ends with the bits of an undisturbed one."""
    work.mkdir(parents=True, exist_ok=True)
    if images is None:
        stored.write(work / "train.arrow", *random_images(512 if runs.smoke else 20_000))
    train = work / "train.arrow" if images is None else images / "train.arrow"
    settings: dict[str, Any] = runs.of("quick_simclr")
    settings = settings | {"run": "check"}
    shape = {"images": 256, "batch": 32} if runs.smoke else {"images": 5000}
    settings["training"] = settings["training"] | shape | {"epochs": 4 if runs.smoke else 20}
    (work / "params.yaml").write_text(json.dumps(settings))  # JSON is YAML
    more = {"UNLABEL_CHECKPOINT_SECONDS": "0.3", "PYTHONPATH": str(ssl)}
    environment = os.environ | more

    def command(which: str) -> list[str]:
        flags = {"params": work / "params.yaml", "train": train}
        flags |= {"state": work / f"{which}.state", "out": work / which}
        words = [word for key, path in flags.items() for word in (f"--{key}", str(path))]
        return [sys.executable, "-m", "unlabel", "pretrain", *words]

    whole = subprocess.run(command("whole"), env=environment, capture_output=True, text=True)
    if whole.returncode:
        raise RuntimeError(whole.stderr[-800:])
    about = json.loads((work / "whole/run.json").read_text())
    kills, state = 0, work / "cut.state/state.safetensors"
    for _ in range(2):
        quiet = subprocess.DEVNULL
        job = subprocess.Popen(command("cut"), env=environment, stdout=quiet, stderr=quiet)
        try:
            while job.poll() is None and not state.exists():
                time.sleep(0.05)
            job.wait(random.uniform(0.2, 0.5) * about["seconds"])
        except subprocess.TimeoutExpired:
            job.kill()
            kills += state.exists()
        job.wait()
    last = subprocess.run(command("cut"), env=environment, capture_output=True, text=True)
    ends = [(work / which / "encoder.safetensors").read_bytes() for which in ("whole", "cut")]
    value = {"same": ends[0] == ends[1], "kills with a state": kills, "said": last.stderr[-200:]}
    found = {key: about[key] for key in ("seconds", "images_per_second", "peak_memory")}
    findings.note("killed and taken up", value | found)
