"""The files of a finished training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from unlabel import encoder, files, weights
from unlabel.data.images import Images
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.training import environment, pictures
from unlabel.training.log import Log
from unlabel.training.loop import Training


def write(
    out: Path,
    method: Method,
    recipe: Mapping[str, Any],
    log: Log,
    chosen: Images,
    settings: dict[str, Any],
    hardware: Hardware,
) -> None:
    """Write all but run.json, which is written when the rest is there."""
    out.mkdir(parents=True, exist_ok=True)
    files.write_text(out / "params.yaml", yaml.safe_dump(settings, sort_keys=False))
    encoder.save(out / "encoder.safetensors", method.encoder, settings["encoder"])
    rest = {k: v for k, v in weights.of(method).items() if not k.startswith("encoder.")}
    made = {} if recipe == settings["method"] else {"fitted": recipe}
    weights.write(out / "method.safetensors", rest, {"method": settings["method"], **made})
    files.write_table(out / "log.parquet", log.rows)
    pictures.draw(out / "pictures.parquet", method, chosen, hardware, settings["seed"])


def about(
    method: Method, log: Log, chosen: Images, training: Training, hardware: Hardware, seconds: float
) -> dict[str, Any]:
    """What run.json says of a finished training and of the machine."""
    trained = log.steps * training.batch
    return environment.describe(hardware.device) | {
        "precision": hardware.precision,
        "compiled": hardware.compile,
        "images": len(chosen.id),
        "parameters": sum(p.numel() for p in method.encoder.parameters()),
        "labels": method.labels,
        "seconds": round(seconds, 3),
        "images_per_second": round(trained / seconds, 1) if trained else None,
        "peak_memory": environment.peak_memory(hardware.device),
    }
