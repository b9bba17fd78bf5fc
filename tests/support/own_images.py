"""Preparing a folder of one's own images."""

import json
from pathlib import Path

import yaml

from support.models import PARAMS
from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.stage import prepare

RECIPE = PARAMS / "dataset/folder.yaml"
SPLITS = ("train", "validation", "test")


def prepared(out: Path, root: Path, **settings: object) -> tuple[list[tuple[Images, Data]], dict]:
    """The three splits, and the report."""
    recipe = yaml.safe_load(RECIPE.read_text()) | {"path": str(root), "size": 16, **settings}
    out.mkdir(exist_ok=True)
    (out / "params.yaml").write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    paths = [out / f"{split}.arrow" for split in SPLITS]
    prepare.run(out / "params.yaml", Path(), *paths, out / "report.json")
    return [images.read(path) for path in paths], json.loads((out / "report.json").read_text())


def counts(splits: list[tuple[Images, Data]]) -> list[list[int]]:
    return [split.label.add(1).bincount(minlength=1).tolist() for split, _ in splits]
