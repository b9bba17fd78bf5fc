"""A finished training in its folder: whose it is, and whether its files are those that it wrote."""

import json
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.errors import UserError
from unlabel.params.settings import first_difference
from unlabel.params.settings import load as settings_of
from unlabel.run import ASIDE, TRAINED

ABOUT = TRAINED[-1]  # what is written last
CHECKSUMS = "sha256"  # in it, by the name of the file


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Write run.json, when the other files are there, with the checksums of all."""
    found = {name: files.sha256(folder / name) for name in TRAINED[:-1]} | {ABOUT: _of(about)}
    files.write_json(folder / ABOUT, about | {CHECKSUMS: found})


def is_whole(folder: Path) -> bool:
    """Are all files there, and are they those that the training wrote?"""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        found = about.pop(CHECKSUMS)
        others = all(found[name] == files.sha256(folder / name) for name in TRAINED[:-1])
        return others and bool(found[ABOUT] == _of(about))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def difference(folder: Path, identity: dict[str, Any]) -> str:
    """How the training differs from `identity`; empty if it does not.

    Raises `UserError` if its files cannot be read.
    """
    about = files.read_json(folder / ABOUT, "finish the run")
    there = {key: about.get(key) for key in identity}
    return first_difference(there | {"settings": settings_of(folder / "params.yaml")}, identity)


def done(out: Path, identity: dict[str, Any]) -> bool:
    """Is the run in `out` finished? Raises `UserError` if its settings or code are others."""
    if not (out / ABOUT).exists():
        return False
    if other := difference(out, identity):
        raise UserError(
            f"{out} holds a run of other settings: {other}; "
            "choose another folder, or delete it to train again"
        )
    if not (whole := is_whole(out)):
        print(f"files in {out} were changed; the run is trained again", file=sys.stderr)
    return whole


def take_back(out: Path, identity: dict[str, Any]) -> bool:
    """Move a training that was set aside back into `out`, if it is whole and that of `identity`."""
    aside = out / ASIDE
    if same := is_whole(aside) and not difference(aside, identity):
        print(f"{out} was trained while no Snakemake was watching: taken back", file=sys.stderr)
        for name in TRAINED:
            with files.whole(out / name) as part:
                shutil.copyfile(aside / name, part)
    shutil.rmtree(aside, ignore_errors=True)
    return same


def _of(about: dict[str, Any]) -> str:
    return sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
