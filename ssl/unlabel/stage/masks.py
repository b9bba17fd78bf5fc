"""Write the class of each pixel of a dataset's images."""

from pathlib import Path

from unlabel.data import masks
from unlabel.dataset import Dataset
from unlabel.errors import UserError
from unlabel.params.settings import build, load
from unlabel.progress import note


def run(params: Path, raw: Path, out: Path) -> None:
    """Load the masks of a dataset's images, and write them.

    Args:
        params: the dataset's `name` and, under `dataset`, its recipe, a YAML file
        raw: the folder with the dataset's raw files
        out: the Arrow file to write

    Raises:
        UserError: if the settings are wrong, or the dataset has no masks
    """
    settings = load(params)
    dataset = build(settings.get("dataset", {}), "dataset")
    if not isinstance(dataset, Dataset):
        raise UserError(f"{params} needs a setting `dataset`, the recipe of a dataset")
    found = dataset.masks(raw)
    masks.write(out, found)
    note(f"{settings['name']}: {len(found.id)} masks of {len(found.classes)} classes")
