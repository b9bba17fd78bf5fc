"""Train a method's encoder."""

import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from unlabel import encoder
from unlabel.data import images, nearby
from unlabel.data.expected import changed
from unlabel.data.images import Data
from unlabel.errors import UserError
from unlabel.files import lock
from unlabel.fingerprint import fingerprint, targets
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.nn.batch_norm import synchronise
from unlabel.nn.distributed import any_process
from unlabel.params import start
from unlabel.params.settings import build, load, target
from unlabel.seeds import derive
from unlabel.training import examples, finished, fits, launch, monitor, nodes, outputs, session
from unlabel.training.fits import Fitted
from unlabel.training.loop import Training
from unlabel.training.monitor import Monitor
from unlabel.training.session import Seen


def run(
    params: Path,
    train: Path,
    state: Path,
    out: Path,
    validation: Path | None = None,
    loggers: list[str] | None = None,
    logs: Path = Path("logs"),
) -> None:
    """Train a method on the images of a dataset, without their labels unless the method needs them.

    Writes params.yaml, encoder.safetensors, method.safetensors (what else the method has learned),
    log.parquet, pictures.parquet and run.json. A training that was stopped or killed goes on from
    its last state. If training.processes is above 1, torchrun starts that many processes, on each
    of training.nodes machines, and the first one writes.

    Args:
        params: the run's settings, a YAML file
        train: the prepared training split, an Arrow file
        state: the folder of the training's state, removed at the end
        out: the folder to write the run into
        validation: the prepared validation split, an Arrow file, on which monitor.every measures
            the kNN accuracy; without it, or without labels, none is measured
        loggers: the programs that get the log as it grows
        logs: the folder that they write to

    Raises:
        UserError: if the settings are wrong, or `state` or `out` hold another run
    """
    settings = load(params)
    training: Training = build(settings["training"], "training")
    identity = _identity(settings, train, validation)
    flags: dict[str, launch.Flag] = {"params": params, "train": train, "state": state, "out": out}
    flags |= {"validation": validation, "loggers": loggers, "logs": logs}
    if not launch.launched() and _trained(training, identity, state, out, flags):
        return
    leader = launch.leader()
    alone = lock.acquire(state / "lock", f"trains the run of {state}")
    with alone if leader else nullcontext():
        _run(settings, training, identity, train, state, out, Seen(validation, loggers or [], logs))
        if leader:
            shutil.rmtree(state)


def _identity(settings: dict[str, Any], train: Path, validation: Path | None) -> dict[str, Any]:
    """What the bits of a training depend on but for the machine."""
    code = fingerprint("unlabel.stage.pretrain", *targets(settings))
    splits = {"train": train} | ({"validation": validation} if validation else {})
    prepared = {name: images.identity(path) for name, path in splits.items()}
    torch_version = str(torch.__version__)
    identity = {"settings": settings, "code": code, "torch": torch_version, "prepared": prepared}
    if files_read := start.digests(settings):
        identity |= {"files": files_read}
    return identity


def _trained(
    training: Training,
    identity: dict[str, Any],
    state: Path,
    out: Path,
    flags: dict[str, launch.Flag],
) -> bool:
    """Is the run trained already, or now by processes that this one has started?"""
    if nodes.one():
        per_node, told = training.processes, state / "nodes"
        nodes.launch_here(training.nodes, per_node, told, "pretrain", **flags)
    elif finished.done(out, identity):
        print(f"{out} is trained already", file=sys.stderr)
    elif training.nodes * training.processes > 1:
        # Here one may wait for hours: the processes that train together wait for minutes.
        with lock.acquire(state / "start", f"trains the run of {state}"):
            _together(training, state / "nodes", flags)
    else:
        return False
    return True


def _together(training: Training, told: Path, flags: dict[str, launch.Flag]) -> None:
    if training.nodes > 1:
        nodes.over(training.nodes, told, "pretrain", **flags)
    else:
        launch.launch(training.processes, "pretrain", **flags)


def _run(
    settings: dict[str, Any],
    training: Training,
    identity: dict[str, Any],
    train: Path,
    state: Path,
    out: Path,
    seen: Seen,
) -> None:
    with launch.member(training.nodes * training.processes):
        done = finished.done(out, identity)  # the lock's last holder may have finished it
        if not done and launch.leader():
            done = finished.take_back(out, identity)
        if any_process(done):
            return
        hardware: Hardware = build(settings["hardware"], "hardware").resolve()
        hardware.configure()
        every = nearby.read(train)
        chosen, data = examples.choose(every, train, training, settings)
        training, recipe, changes = _fitted(settings, data.size)
        method = _method(settings | {"method": recipe}, data, hardware)
        # Another kind of device, another precision or a compiled encoder comes to other bits.
        on = {
            "hardware.device": torch.device(hardware.device).type,
            "hardware.precision": hardware.precision,
            "hardware.compile": hardware.compile,
        }
        asked = build(settings["monitor"], "monitor") if "monitor" in settings else Monitor()
        measured = monitor.accuracy(asked, every[0], seen.validation, hardware)
        done_by = (settings, training, hardware, state, identity | on, measured, seen)
        log, seconds = session.train(method, chosen, *done_by)
    if launch.leader():
        outputs.write(out, method, recipe, log, chosen, settings, hardware)
        about = {key: value for key, value in identity.items() if key != "settings"}
        about |= outputs.about(method, log, chosen, training, hardware, seconds)
        about |= {"fitted": changes} if changes else {}
        finished.write_about(out, about)


def _fitted(settings: dict[str, Any], images: int) -> Fitted:
    """The training and the method that fit so many images; says what was changed."""
    fitted = fits.fit(settings, images)
    for key, (planned, made) in fitted.changes.items():
        if launch.leader():
            said = changed(key, planned, made, images)
            print(f"{settings['run']}: {said}", file=sys.stderr)
    return fitted


def _method(settings: dict[str, Any], data: Data, hardware: Hardware) -> Method:
    torch.manual_seed(derive(settings["seed"], "weights"))
    if found := settings.get("start"):
        backbone = build(found, "start").encoder(settings["encoder"], data)
    elif target(settings["method"], "method").needs_weights:
        raise UserError("imported has nothing to import; the settings have no section `start`")
    else:
        backbone = build(settings["encoder"], "encoder", data=data)
    method: Method = build(settings["method"], "method", encoder=backbone, data=data)
    synchronise(method)
    hardware.move(method)
    if hardware.compile:
        encoder.compile_passes(method)
    return method
