"""Whether a run's folder has the training that is planned now."""

import json
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.fingerprint import fingerprint, targets
from unlabel.params.settings import first_difference, load
from unlabel.run import Run


def ended(folder: Path) -> bool:
    """Did a training end in this folder of a run?"""
    return (folder / "run.json").exists() and (folder / "params.yaml").exists()


def difference(run: Run, folder: Path, settings: Path) -> str:
    """Why the run in a folder is not the one that these frozen settings train; empty if it is."""
    try:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        there = {"settings": load(folder / "params.yaml"), "code": about.get("code")}
        prepared = dict(about.get("prepared", {}))
    except (ValueError, TypeError, AttributeError, UserError):
        return "run.json or params.yaml is damaged"
    return first_difference(there, _planned(settings)) or _images(run, prepared)


def _images(run: Run, trained: dict[str, str]) -> str:
    """That the images prepared now are not those with these digests; empty if they are."""
    from unlabel.data import images  # loads torch

    for name, digest in trained.items():
        split = Path(f"data/prepared/{run.dataset}/{name}.arrow")
        if split.exists() and images.identity(split) != digest:
            return f"{run.dataset} was prepared again and has other images"
    return ""


def _planned(path: Path) -> dict[str, Any]:
    """The settings and the code that a planned run is trained with."""
    settings = load(path)
    return {"settings": settings, "code": fingerprint("unlabel.stage.pretrain", *targets(settings))}
