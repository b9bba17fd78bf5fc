"""A training from its first step, or from its last saved state, to its end."""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unlabel.analysis.collapse import ADVICE, collapse
from unlabel.data.images import Images
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.nn.distributed import any_process
from unlabel.params.settings import build
from unlabel.progress import Progress
from unlabel.training import launch
from unlabel.training.followers import Followers
from unlabel.training.log import Log
from unlabel.training.loop import Training, fit
from unlabel.training.monitor import Accuracy
from unlabel.training.state import State


class Seen(NamedTuple):
    """What people see a training by, and where."""

    validation: Path | None
    loggers: Sequence[str]
    logs: Path


def train(
    method: Method,
    chosen: Images,
    settings: dict[str, Any],
    training: Training,
    hardware: Hardware,
    folder: Path,
    identity: dict[str, Any],
    accuracy: Accuracy | None,
    seen: Seen,
) -> tuple[Log, float]:
    """Train, from the saved state if there is one -> the log, and the seconds it took."""
    players = method.players()
    optimizers = [build(settings["optimizer"], "optimizer", module=each) for each in players]
    steps = training.steps(len(chosen.id)) if players else 0
    log = Log(method, chosen, steps, training.epochs, hardware, accuracy if players else None)
    state = State(folder, method, optimizers, identity)
    start = state.resume(log)
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    progress = Progress(settings["run"], steps * training.batch, start * training.batch)
    followers = Followers(settings["run"], folder, log, progress)
    if launch.leader() and players:
        # A logger may show another code or torch as another run.
        rest = {key: value for key, value in identity.items() if key != "settings"}
        followers.open(seen.loggers, seen.logs, settings | rest)
        followers.tell(start)
    state.start_clock()
    lr = settings["optimizer"]["lr"]
    chosen = hardware.hold(chosen)
    seed = settings["seed"]
    loop = fit(method, chosen, optimizers, training, hardware, seed, start, log.due)
    for step, result in enumerate(loop if players else (), start + 1):
        log.add(step, result, lr)
        progress.advance(training.batch, log.last())
        if launch.leader():
            followers.tell(step)
        stop = step < steps and any_process(terminated.is_set())
        if launch.leader() and step < steps and (stop or state.due()):
            state.save(step, log)
        if stop:
            any_process(stop)  # waits for the process that saves
            followers.close(finished=False)
            print(f"stopped after step {step}; start again to go on from there", file=sys.stderr)
            raise SystemExit(128 + signal.SIGTERM)
    progress.close()
    followers.close(finished=True)
    if players and (why := collapse(log.rows[-1])):
        print(f"{settings['run']} collapsed: {why}. {ADVICE}", file=sys.stderr)
    return log, state.seconds
