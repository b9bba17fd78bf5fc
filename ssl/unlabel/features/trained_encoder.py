"""What it takes to use a trained encoder, from the folder of its run."""

from hashlib import file_digest
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.params.settings import Settings, build, load


def encoder_file(run: Path) -> Path:
    """The file of a run's encoder. Raises `UserError` if `run` is not a trained run's folder."""
    path = run / "encoder.safetensors"
    if not path.is_file():
        problem = "has no encoder.safetensors" if run.is_dir() else "is not a folder"
        raise UserError(
            f"{run} {problem}; pass the folder of a trained run, "
            "data/runs/BUDGET/DATASET/METHOD/VARIANT/SEED"
        )
    return path


def settings_of(run: Path) -> dict[str, Any]:
    """The settings that the run was trained with. Raises `UserError` if they cannot be read."""
    return load(run / "params.yaml")


def digest(path: Path) -> str:
    """The sha256 of a file, to tell encoders apart."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def hardware_of(settings: Settings, device: str | None) -> Hardware:
    """The run's hardware, or `device`. Raises `UserError` if this machine does not have it."""
    changed = {} if device is None else {"device": device}
    hardware: Hardware = build({**settings["hardware"], **changed}, "hardware").resolve()
    return hardware
