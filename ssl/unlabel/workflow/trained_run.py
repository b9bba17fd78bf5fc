"""Whether a run's folder has the training that is planned now."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

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
    return first_difference(there, _planned(settings)) or other_images(run, prepared)


def images_of(state: Path) -> dict[str, str]:
    """The digest of each split that a training was on, from its `run.json` or its saved state.

    A damaged file has none: the training itself says so.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        if state.suffix == ".json":
            about = json.loads(state.read_text(encoding="utf-8"))
        else:
            with safe_open(state, "np") as file:  # reads no tensor
                about = json.loads(file.metadata()["unlabel"])["identity"]
        return dict(about["prepared"])
    return {}


def other_images(run: Run, trained: Mapping[str, str]) -> str:
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
