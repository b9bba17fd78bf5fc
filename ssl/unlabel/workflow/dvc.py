"""What DVC knows: the encoders by name (`dvc artifacts get URL reports:simclr`), and safe files."""

import json
import re
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml

from unlabel import files
from unlabel.params import command_line, defaults, study, written
from unlabel.params.settings import load
from unlabel.params.study import Study
from unlabel.run import BASE, Run
from unlabel.workflow.asked_study import Asked, asked
from unlabel.workflow.plan import Plan

ARTIFACTS = Path("reports/dvc.yaml")


def write(path: Path = ARTIFACTS, params: Path = Path("params")) -> None:
    """Name the encoders on disk of the study that `params` builds.

    Raises `UserError` if the study is wrong.
    """
    config = defaults.of_workflow(params)
    plan = Plan.current(params, chosen=command_line.asked(config, params))
    built = study.read(params, command_line.named(config, "study"))
    found = dict[str, dict[str, Any]]()
    for name, about in _artifacts(asked(plan, built, config), params):
        found[_free(name, found)] = about
    files.write_text(path, yaml.safe_dump({"artifacts": found}, sort_keys=False))


def _artifacts(built: Asked, params: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for arm, run in built.study.runs(params, built.budget):
        folder = Path("data/runs") / run.folder
        encoder = folder / "encoder.safetensors"
        if encoder.is_file():
            about = written.load(params / "method" / f"{run.method}.yaml").get("about") or {}
            kind = load(folder / "params.yaml")["encoder"]["_target_"].split(".")[-2]
            labels = [about.get("family"), kind, run.dataset, built.budget]
            yield (
                _name(built.study, arm, run),
                {
                    "path": f"../{encoder}",
                    "type": "model",
                    "desc": _described(run, about),
                    "labels": [str(label) for label in labels if label],
                },
            )


def _name(built: Study, arm: str, run: Run) -> str:
    """The method, and whatever else tells the study's encoders apart, in characters DVC allows."""
    parts = [run.method]
    parts += [run.dataset] if len(built.datasets) > 1 else []
    parts += [arm] if arm != BASE else []
    parts += [str(run.seed)] if len(built.seeds) > 1 else []
    return "-".join(re.sub(r"[^\w]+", "-", part, flags=re.ASCII).strip("-_") for part in parts)


def _free(name: str, taken: Container[str]) -> str:
    """The name, or with the first number that makes it another: arms `0.1` and `0-1` share one."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)


def _described(run: Run, about: Mapping[str, Any]) -> str:
    return f"the encoder of {run.folder}" + (f": {about['title']}" if "title" in about else "")


def lost(folders: Iterable[Path], of: Path) -> dict[Path, list[Path]]:
    """The files in each of `folders`, below `of`, that DVC could not bring back after a removal.

    It can bring back what the last commit has with this very content and DVC has in its cache.
    """
    safe = _safe(of)
    return {
        folder: [file for file in sorted(folder.rglob("*")) if file.is_file() and file not in safe]
        for folder in folders
    }


def _safe(folder: Path) -> set[Path]:
    """The files below a folder that are as in the last commit, and in DVC's cache."""
    command = [sys.executable, "-m", "dvc", "data", "status", "--granular", "--unchanged", "--json"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    if done.returncode:  # no repository of DVC, or a broken one: it could bring back nothing
        return set()
    status = json.loads(done.stdout)
    return set(map(Path, status.get("unchanged", []))) - set(
        map(Path, status.get("not_in_cache", []))
    )
