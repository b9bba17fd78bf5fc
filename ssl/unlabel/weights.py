"""Tensors in safetensors files: written whole, checked when read, always the same bytes."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from unlabel.errors import UserError
from unlabel.files import whole


def write(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors, and in the header what is known `about` them, whole or not at all."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    # One key, because safetensors writes several in an order that differs between processes.
    header = {"unlabel": json.dumps(about | {"sha256": _digest(tensors)})}
    with whole(path) as part:
        # safetensors itself would hide the reason if the disk is full.
        part.write_bytes(save(tensors, header))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write` wrote. Raises `UserError` if the file is missing, truncated or altered."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {})["unlabel"])
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to have it made again") from error
    if about.pop("sha256", None) != _digest(tensors):
        raise UserError(f"{path} was altered since it was written; delete it to make it again")
    return tensors, about


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def of(module: nn.Module) -> dict[str, Tensor]:
    """The module's parameters and buffers, each once, even if it has several names."""
    seen: dict[int, str] = {}
    state = module.state_dict(keep_vars=True)
    for name, tensor in state.items():
        seen.setdefault(id(tensor), name)
    return {name: state[name].detach() for name in seen.values()}


def restore(module: nn.Module, tensors: dict[str, Tensor], where: Path) -> None:
    """Put back what `of` gave. Raises `UserError` if the tensors are another module's."""
    expected = of(module)
    if expected.keys() != tensors.keys() or any(
        expected[name].shape != tensors[name].shape for name in expected
    ):
        raise UserError(f"{where} holds the weights of another model; delete it to make it again")
    module.load_state_dict(tensors, strict=False)
