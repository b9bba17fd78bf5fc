"""A job on this machine holds slots of GPUs, and sees no other GPU.

A slot is a file that the job locks (flock). The system frees it when the job ends, however it ends.
All projects of a user share the slots. Jobs of a cluster hold none: the cluster places them.
"""

import fcntl
import os
import re
import sys
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from unlabel.errors import UserError
from unlabel.files.own_folder import own_folder
from unlabel.params.placement import SLOTS
from unlabel.workflow import devices, lifeline

ASKED = "UNLABEL_GPUS"  # the GPUs that a job computes on; `unlabel.hardware` reads it, too
SHARE = "UNLABEL_GPU_SLOTS"  # the slots that it holds of all of them together
SECONDS = 0.2  # between two looks for free slots

Held = list[int]  # descriptors of files, which are locked as long as a process has them open


def take(environment: MutableMapping[str, str] = os.environ) -> Held:
    """Hold what the job of this process asks for, and show it just these GPUs.

    A job that asks for none sees none. Raises `UserError` if there are not as many.
    """
    if (share := environment.pop(SHARE, None)) is None:
        return []  # no job of a workflow, or a process that a job has started
    count, slots = int(environment[ASKED]), int(share)
    if count == 0:
        environment[devices.VISIBLE] = ""
    if count == 0 or lifeline.ENVIRONMENT not in environment:
        return []
    known = devices.shared(environment)
    if count > len(known):
        raise UserError(
            f"this job asks for {count} GPU{'s' * (count > 1)}, but may use {len(known)} here; "
            f"see nvidia-smi and {devices.VISIBLE}, lower training.processes, or compute on the "
            "CPU with --config gpu=0"
        )
    chosen, held = hold(known, count, max(1, slots // count), folder(environment))
    environment[devices.VISIBLE] = ",".join(chosen)
    return held


def folder(environment: MutableMapping[str, str]) -> Path:
    """The folder of the slots, for this user alone. Raises `UserError` if it is somebody else's."""
    if stand_ins := environment.get(devices.STAND_INS):
        return Path(stand_ins)
    return own_folder("unlabel-gpus")


def hold(known: Sequence[str], count: int, slots: int, place: Path) -> tuple[list[str], Held]:
    """Lock so many slots of each of `count` devices, all at once or none -> the devices, the locks.

    Those with the most free slots come first. Who waits has its turn: nobody overtakes it, so one
    that needs several devices gets them.
    """
    waits = False
    with (place / "turn").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        while True:
            free = {name: _lock_free(name, place) for name in known}
            fit = sorted((n for n in known if len(free[n]) >= slots), key=lambda n: -len(free[n]))
            chosen = sorted(fit[:count], key=known.index) if len(fit) >= count else []
            held = [each for name in chosen for each in free[name][:slots]]
            for each in {each for found in free.values() for each in found} - {*held}:
                os.close(each)
            if chosen:
                return chosen, held
            if not waits:
                print("waiting for a GPU that other jobs hold", file=sys.stderr)
            waits = True
            time.sleep(SECONDS)


def _lock_free(device: str, place: Path) -> Held:
    """Lock all slots of a device that are free."""
    free: Held = []
    name = re.sub(r"[^\w-]", "_", device)
    for number in range(SLOTS):
        slot = os.open(place / f"gpu-{name}.slot-{number}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(slot)
        else:
            free.append(slot)
    return free
