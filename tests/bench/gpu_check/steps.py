"""How fast a step is, what of it is not the encoder, and where it waits."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType

from gpu_check.findings import Findings
from gpu_check.runs import CUDA, Runs, encoder_calls, seconds, wait
from unlabel.hardware import Hardware
from unlabel.method import Method


def ceilings(findings: Findings) -> None:
    """What the device can do at most: bytes copied and products in bfloat16."""
    name = torch.cuda.get_device_name() if CUDA else "cpu"
    about: dict[str, Any] = {"torch": torch.__version__, "device": name}
    if CUDA:
        a = torch.empty(1 << 31, dtype=torch.uint8, device="cuda").random_()
        b = torch.empty_like(a)
        about["copy TB/s"] = round(2 * a.numel() / seconds(lambda: b.copy_(a), 20) / 1e12, 2)
        x = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
        y = torch.randn_like(x)
        about["bfloat16 TFLOP/s"] = round(2 * 8192**3 / seconds(lambda: x @ y, 20) / 1e12)
    findings.note("ceilings", about)


def step(findings: Findings, runs: Runs, name: str) -> None:
    """Images a second of a run, its share beside the encoder's passes, and its waits."""
    batch, calls_timed = runs.batch(name), 2 if runs.smoke else 20
    if CUDA:
        torch.cuda.reset_peak_memory_stats()
    method, hardware, loop = runs.loop(name, batch)

    def one() -> None:
        next(loop)

    wait()
    began = time.perf_counter()
    one()
    wait()
    first = time.perf_counter() - began
    for _ in range(4 if CUDA else 1):
        one()
    whole = seconds(one, calls_timed)
    peak = torch.cuda.max_memory_allocated() if CUDA else 0
    calls = encoder_calls(method, one)
    only = seconds(passes(method, hardware, calls), calls_timed) if calls else None
    device = profiled(one)
    findings.note(
        f"step {name}",
        {
            "images/s": round(batch / whole),
            "step ms": round(1e3 * whole, 2),
            "first step s": round(first, 2),
            "encoder ms": only and round(1e3 * only, 2),
            "outside the encoder %": only and round(100 * (1 - only / whole), 1),
            "encoder passes": len(calls),
            "peak GiB": round(peak / 2**30, 2),
            "precision": hardware.precision,
            **device,
            "GPU waits %": device and round(100 * (1 - device["busy ms"] / 1e3 / whole), 1),
            "syncs at": syncs(one),
        },
    )


def passes(
    method: Method, hardware: Hardware, calls: list[tuple[tuple[int, ...], bool]]
) -> Callable[[], None]:
    """The encoder's passes of a step alone, on views that are ready."""
    ready = [(torch.rand(shape, device=hardware.device), wanted) for shape, wanted in calls]
    ready = [(x.to(memory_format=torch.channels_last), wanted) for x, wanted in ready]

    def run() -> None:
        method.encoder.zero_grad()
        for x, wanted in ready:
            with hardware.autocast(), torch.set_grad_enabled(wanted):
                h = method.encoder(x)
            if wanted:
                h.float().sum().backward()

    for _ in range(3 if CUDA else 1):
        run()
    return run


def profiled(function: Callable[[], object], calls: int = 5) -> dict[str, Any]:
    """Of a call: kernels, copies to the device, its busy ms, and calls that wait for it."""
    if not CUDA:
        return {}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(calls):
            function()
        wait()
    kernels, busy, copies, waits = 0, 0.0, 0, 0
    top: list[tuple[float, float, str]] = []
    for event in profile.key_averages():
        if event.device_type == DeviceType.CUDA:
            spent = event.self_device_time_total
            kernels, busy = kernels + event.count, busy + spent
            copies += event.count if event.key.startswith("Memcpy HtoD") else 0
            top.append((round(spent / calls / 1e3, 3), event.count / calls, event.key[:60]))
        elif "Synchronize" in event.key:
            waits += event.count
    return {
        "kernels": kernels / calls,
        "busy ms": round(busy / calls / 1e3, 3),
        "copies to the device": copies / calls,
        "syncs": waits / calls,
        "top": sorted(top, reverse=True)[:6],
    }


def syncs(function: Callable[[], object], calls: int = 2) -> dict[str, float]:
    """Where in Python a call makes the processor wait for the GPU, and how often."""
    if not CUDA:
        return {}
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(calls):
            function()
    torch.cuda.set_sync_debug_mode("default")
    count: dict[str, float] = {}
    for warning in seen:
        if "synchroniz" in str(warning.message):
            where = f"{Path(warning.filename).name}:{warning.lineno}"
            count[where] = count.get(where, 0) + 1 / calls
    return count


def variant(findings: Findings, runs: Runs, name: str, what: str) -> None:
    """A step with one switch turned: "compiled", "benchmark" or "not reproducible"."""
    batch = runs.batch(name)
    wait()
    began = time.perf_counter()
    _, _, loop = runs.loop(name, batch, compile=what == "compiled")
    torch.backends.cudnn.benchmark = what != "compiled"
    if what == "not reproducible":
        torch.set_deterministic_debug_mode("default")
        torch.backends.cudnn.deterministic = False
    next(loop)
    wait()
    first = time.perf_counter() - began
    for _ in range(4 if CUDA else 1):
        next(loop)
    whole = seconds(lambda: next(loop), 2 if runs.smoke else 20)
    rate = {"images/s": round(batch / whole), "step ms": round(1e3 * whole, 2)}
    findings.note(
        f"{name}, {what}", rate | {"first s": round(first, 1), **profiled(lambda: next(loop))}
    )
