"""A trained run, to be used: its folder is all that is needed."""

from hashlib import file_digest
from pathlib import Path
from typing import Any

from unlabel import settings
from unlabel.errors import UserError


def encoder_file(run: Path) -> Path:
    """The weights of a run's encoder. Raises `UserError` if the folder `run` is of no trained run."""
    path = run / "encoder.safetensors"
    if not path.is_file():
        problem = "has no encoder.safetensors" if run.is_dir() else "is no folder"
        raise UserError(
            f"{run} {problem}; pass that of a trained run, "
            "data/runs/BUDGET/DATASET/METHOD/VARIANT/SEED"
        )
    return path


def settings_of(run: Path) -> dict[str, Any]:
    """The settings that the run was trained with. Raises `UserError` if they cannot be read."""
    return settings.load(run / "params.yaml")


def digest(path: Path) -> str:
    """The sha256 of a file, which tells encoders apart."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
