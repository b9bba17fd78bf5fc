"""The training state: all that a run killed at any moment needs to go on to the same bits."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unlabel import checkpoint, files
from unlabel.errors import UserError
from unlabel.run import ASIDE, TRAINED
from unlabel.settings import load as settings_of

SECONDS = 5.0  # between questions to Slurm
ALIVE = "RUNNING,COMPLETING,SUSPENDED,STOPPED,SIGNALING,RESIZING"


def weights(module: nn.Module) -> dict[str, Tensor]:
    """The module's parameters and buffers, each once, though it may go by several names."""
    seen: dict[int, str] = {}
    state = module.state_dict(keep_vars=True)
    for name, tensor in state.items():
        seen.setdefault(id(tensor), name)
    return {name: state[name].detach() for name in seen.values()}


def restore(module: nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    """Put back what `weights` gave. Raises `UserError` if it is of another module."""
    expected = weights(module)
    if expected.keys() != tensors.keys() or any(
        expected[name].shape != tensors[name].shape for name in expected
    ):
        raise UserError(f"{where} holds the weights of another model; delete it to make it again")
    module.load_state_dict(tensors, strict=False)


def save(
    path: Path, method: nn.Module, optimizers: Sequence[Optimizer], about: dict[str, Any]
) -> None:
    """Write the state, whole or not at all; `about` is what is not a tensor."""
    tensors = {f"method.{name}": t for name, t in weights(method).items()}
    for k, optimizer in enumerate(optimizers):
        for index, entry in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{k}.{index}.{key}": t for key, t in entry.items()}
    checkpoint.write(path, tensors, about)


def load(
    path: Path, method: nn.Module, optimizers: Sequence[Optimizer], identity: dict[str, Any]
) -> dict[str, Any]:
    """Restore the state of `path` and return its `about`.

    Raises `UserError` if it is damaged or is not of the run that `identity` describes.
    """
    tensors, about = checkpoint.read(path)
    if difference := first_difference(about["identity"], identity):
        raise UserError(
            f"{path} is the training state of another run: {difference}; "
            "restore that value, or delete the file to start this run anew"
        )
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    restore(method, parts["method"], path)
    for k, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts.get("optimizer", {}).items():
            which, index, key = name.split(".")
            if int(which) == k:
                state.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        _lay_out(optimizer)
    return about


def _lay_out(optimizer: Optimizer) -> None:
    """Give each state tensor its parameter's strides, which fused optimizers take for granted."""
    for parameter, entry in optimizer.state.items():
        for key, tensor in entry.items():
            if tensor.shape == parameter.shape:
                entry[key] = torch.empty_like(parameter).copy_(tensor)


def first_difference(there: Any, here: Any, name: str = "") -> str:
    """The first value in which two nested settings differ, in words; empty where they do not."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            where = f"{name}.{key}" if name else key
            if said := first_difference(there.get(key), here.get(key), where):
                return said
        return ""
    return "" if there == here else f"{name} is {there!r} there and {here!r} here"


def take_back(out: Path, identity: dict[str, Any]) -> bool:
    """Put back into `out` a finished training that was put aside, if it is that of `identity`."""
    aside = out / ASIDE
    whole = all((aside / name).exists() for name in TRAINED)
    if same := whole and not difference(aside, identity):
        print(f"{out} was trained while no Snakemake looked on: taken back", file=sys.stderr)
        for name in TRAINED:
            with files.whole(out / name) as part:
                shutil.copyfile(aside / name, part)
    shutil.rmtree(aside, ignore_errors=True)
    return same


def difference(folder: Path, identity: dict[str, Any]) -> str:
    """How the finished training in `folder` differs from `identity`, in words; empty if nowhere."""
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    there = {key: about.get(key) for key in identity}
    return first_difference(there | {"settings": settings_of(folder / "params.yaml")}, identity)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder` alone, until the block or the process ends, however it ends.

    Waits where another process holds it: one that a killed Snakemake has left behind, say. On a
    network's file system whose locks do not reach other machines, Slurm is asked about the job
    that last held the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = os.environ.get("SLURM_JOB_ID", "")
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say_waiting(folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # no locks at all
            pass
        file.seek(0)
        holder = file.read()
        if holder not in ("", job) and _runs(holder):
            _say_waiting(folder)
            while _runs(holder):
                time.sleep(SECONDS)
        folder.mkdir(exist_ok=True)  # the other one may have ended, and taken it away
        file.truncate(0)
        print(job, end="", file=file, flush=True)
        yield


def _say_waiting(folder: Path) -> None:
    print(f"waiting for another process, which trains the run of {folder}", file=sys.stderr)


def _runs(job: str) -> bool:
    """Does a job run now, as far as Slurm says? No where it is not there or does not answer."""
    command = ["squeue", "--noheader", "--jobs", job, "--states", ALIVE, "--format", "%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())
