"""What the stage prepares of a recipe."""

from pathlib import Path

import yaml

from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.stage import prepare

ROOT = Path(__file__).parents[2]


SPLITS = ("train", "validation", "test")


LABELS = "t10k-labels-idx1-ubyte.gz"


def prepared(folder: Path, raw: Path = Path(), **recipe: object) -> list[tuple[Images, Data]]:
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    paths = [folder / f"{split}.arrow" for split in SPLITS]
    prepare.run(params, raw, *paths)
    return [images.read(path) for path in paths]


def recipe(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "params" / "dataset" / f"{name}.yaml").read_text())
