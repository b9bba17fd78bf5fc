"""Tensors read from files that other programs have written. Nothing in them is run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from unlabel.errors import UserError, damage, reason

# Training programs wrap the tensors in these, sometimes in several.
WRAPPERS = ("teacher", "target_encoder", "state_dict", "model", "encoder", "backbone", "net")
MEND = "name a .safetensors or .pth file of tensors"

Tensors = dict[str, Tensor]


def read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors of a file by name, in its order, and what it says of them.

    Raises `UserError` if it is damaged, has no tensors, or has code in it.
    """
    if path.suffix == ".safetensors":
        with damage(f"{path} is no whole safetensors file", MEND), safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("unlabel", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of its unpickler, of zip files or of the system
        raise UserError(_refused(path, error)) from error
    return unwrapped(content, path), {}


def unwrapped(content: Any, path: Path) -> Tensors:
    """The tensors of a checkpoint, out of what is wrapped around them.

    Raises `UserError` if there are none.
    """
    while isinstance(content, Mapping):
        inner = (content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping))
        if (found := next(inner, None)) is None:
            tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
            if tensors:
                return tensors
            break
        content = found
    raise UserError(f"{path} has no tensors by name; {MEND}")


def _refused(path: Path, error: Exception) -> str:
    """What to say of a file that torch does not load."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot read {path}: {error.strerror}; {MEND}"
    if named := str(error).partition("GLOBAL ")[2].split():  # as torch's unpickler puts it
        return (
            f"{path} has code in it ({named[0]}), which is not run; save its tensors alone, as "
            "with safetensors.torch.save_file"
        )
    return f"{path} is no whole file of tensors ({reason(error)[:80]}); {MEND}"
