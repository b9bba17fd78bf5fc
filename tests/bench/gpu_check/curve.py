"""kNN accuracy over the time that a training takes, and many small trainings at once."""

import json
import subprocess
import time
from pathlib import Path

import torch
from torch import Tensor

from gpu_check.findings import Findings
from gpu_check.runs import CUDA, Runs, splits, wait
from unlabel.data.images import Images
from unlabel.data.loader import batches
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.probe.knn import vote
from unlabel.training.loop import Training, fit

POINTS = 8  # of a curve


@torch.no_grad()
def features(method: Method, images: Images, hardware: Hardware) -> Tensor:
    """(N, D), as the encoder computes them outside training."""
    method.eval()
    found = []
    for part in batches(images, 2000, hardware.workers):
        with hardware.autocast():
            found.append(method.encoder(hardware.pixels(part.image)).float())
    method.train()
    return torch.cat(found)


def curve(findings: Findings, runs: Runs, folder: Path | None, limit: float) -> None:
    """SimCLR at `full` for about `limit` seconds: epoch, seconds, kNN on validation and test."""
    given = splits(folder, runs.smoke)
    if given is None:
        findings.note("kNN over time", "skipped: no images were given (--images)")
        return
    train, data = given["train"]
    method, optimizers, hardware = runs.make("simclr", data)
    held = {name: hardware.hold(images) for name, (images, _) in given.items()}
    batch = min(runs.batch("simclr"), len(train.id))
    rate = findings.found.get("step simclr", {}).get("images/s", 1000)
    epochs = 1 if runs.smoke else max(1, int(0.9 * limit * rate / len(train.id)))
    training = Training(epochs, batch, warmup=min(10, epochs / 10))
    steps = training.steps(len(train.id))
    spent, rows, every = 0.0, [], max(1, steps // POINTS)
    quiet = lambda number: False  # noqa: E731
    loop = fit(method, held["train"], optimizers, training, hardware, 0, logged=quiet)
    wait()
    began = time.perf_counter()
    for number, _ in enumerate(loop, 1):
        over = time.perf_counter() - began + spent > 1.3 * limit
        if number % every and number != steps and not over:
            continue
        wait()
        spent += time.perf_counter() - began
        bank, label = features(method, held["train"], hardware), train.label.to(hardware.device)
        row = [round(number * batch / len(train.id), 1), round(spent, 1)]
        for name in ("validation", "test"):
            votes = vote(bank, label, features(method, held[name], hardware), 200, 0.1)
            right = votes == held[name].label.to(hardware.device)
            row.append(round(float(right.double().mean()), 4))
        rows.append(row)
        findings.note("kNN over time: epoch, s, validation, test", rows)
        if over or findings.left() < 8:
            break
        began = time.perf_counter()
    value = {"epochs": epochs, "images/s": round(number * batch / spent)}
    findings.note("kNN over time", value)


def small(runs: Runs) -> dict[str, float]:
    """Steps a second of `quick` SimCLR in this process, and the seconds until its first step."""
    began = time.monotonic()
    _, _, loop = runs.loop("quick_simclr", runs.batch("quick_simclr"))
    next(loop)
    wait()
    first, steps, start = time.monotonic() - began, 0, time.monotonic()
    while time.monotonic() - start < (5 if CUDA else 1):
        next(loop)
        steps += 1
    wait()
    return {"rate": steps / (time.monotonic() - start), "first": first}


def many(findings: Findings, child: list[str], processes: int) -> None:
    """`quick` SimCLR in so many processes at once, on one GPU."""
    began = time.monotonic()
    start = [*child, "small"]
    jobs = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    said = [json.loads(job.communicate()[0].splitlines()[-1]) for job in jobs]
    rates = [each["rate"] for each in said]
    value = {"steps/s together": round(sum(rates), 1), "steps/s each": round(min(rates), 1)}
    value |= {"first step s": round(max(each["first"] for each in said), 1)}
    findings.note(f"{processes} at once", value | {"s": round(time.monotonic() - began, 1)})
