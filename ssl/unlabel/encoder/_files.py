"""Tensors read from files that other programs have written. Nothing in them is run."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from unlabel.errors import UserError, damage

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
    except pickle.UnpicklingError as error:
        raise UserError(_refused(path, str(error))) from error
    except Exception as error:
        raise UserError(f"{path} cannot be read as weights ({_first(error)}); {MEND}") from error
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


def _refused(path: Path, error: str) -> str:
    """What to say of a pickle that torch does not load."""
    named = error.partition("GLOBAL ")[2].split()
    if named:
        return (
            f"{path} has code in it ({named[0]}), which is not run; save its tensors alone, as with "
            "safetensors.torch.save_file"
        )
    return f"{path} is no whole file of tensors; {MEND}"


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
