"""The training state: all that a killed run needs to resume and end with the same bits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unlabel import weights
from unlabel.errors import UserError
from unlabel.params.settings import first_difference


def save(
    path: Path, method: nn.Module, optimizers: Sequence[Optimizer], about: dict[str, Any]
) -> None:
    """Write the state, whole or not at all; `about` holds all that is not a tensor."""
    tensors = {f"method.{name}": t for name, t in weights.of(method).items()}
    for k, optimizer in enumerate(optimizers):
        for index, entry in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{k}.{index}.{key}": t for key, t in entry.items()}
    weights.write(path, tensors, about)


def load(
    path: Path, method: nn.Module, optimizers: Sequence[Optimizer], identity: dict[str, Any]
) -> dict[str, Any]:
    """Restore the state of `path` and return its `about`.

    Raises `UserError` if the file is damaged, or holds another run than `identity` describes.
    """
    tensors, about = weights.read(path)
    if difference := first_difference(about["identity"], identity):
        raise UserError(
            f"{path} is the training state of another run: {difference}; "
            "restore that value, or delete the file to start this run again"
        )
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    weights.restore(method, parts["method"], path)
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


def of_other_images(path: Path, identity: dict[str, Any]) -> bool:
    """Is the state of the run that `identity` describes, except for the images it is trained on?

    Raises `UserError` if the file is damaged.
    """
    there: dict[str, Any] = weights.read(path)[1]["identity"]
    alike = there | {"prepared": identity["prepared"]}
    return there.get("prepared") != identity["prepared"] and not first_difference(alike, identity)


def _lay_out(optimizer: Optimizer) -> None:
    """Give each state tensor the strides of its parameter, as fused optimizers assume them."""
    for parameter, entry in optimizer.state.items():
        for key, tensor in entry.items():
            if tensor.shape == parameter.shape:
                entry[key] = torch.empty_like(parameter).copy_(tensor)
