"""What it takes to use a trained encoder, from the folder of its run."""

from pathlib import Path
from typing import Any

from unlabel.data.decode import FITS, Preprocessing, are_several
from unlabel.data.images import Data
from unlabel.errors import UserError, damage, did_you_mean
from unlabel.hardware import Hardware
from unlabel.params.settings import Settings, build, load

NEEDED = ("run", "encoder", "method", "hardware")  # of the settings that a run was trained with


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
    path = run / "params.yaml"
    settings = load(path)
    if missing := [name for name in NEEDED if name not in settings]:
        raise UserError(
            f"{path} is cut short, as it has no {missing[0]}; get the run's own file again, or "
            "delete the run to have it made again"
        )
    return settings


def preprocessing_of(path: Path, data: Data, fit: str | None = None) -> Preprocessing:
    """How the images were made that the encoder in `path` was trained on; `fit` replaces that fit.

    Raises `UserError` for an unknown `fit`, and if the file's record of it is damaged.
    """
    if fit is not None and fit not in FITS:
        raise UserError(f"unknown fit {fit!r}: {did_you_mean(fit, FITS)}")
    with damage(f"{path} does not say how its images were made", "make it again"):
        how = Preprocessing.of(data.shape, data.preprocessing)
        if how.limits is not None and not are_several(how.limits):
            low, high = how.limits
            how = how._replace(limits=(float(low), float(high)))  # type: ignore[arg-type]
        return how if fit is None else how._replace(fit=fit)


def hardware_of(settings: Settings, device: str | None) -> Hardware:
    """The run's hardware, or `device`. Raises `UserError` if this machine does not have it."""
    changed = {} if device is None else {"device": device}
    hardware: Hardware = build({**settings["hardware"], **changed}, "hardware").resolve()
    return hardware
