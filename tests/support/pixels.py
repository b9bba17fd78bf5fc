"""Small encoded images for tests: each number another picture."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, format: str = "PNG", grey: bool = False) -> bytes:
    """A coarse pattern of 20 x 16 pixels, which another number makes another."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8)
    image = Image.fromarray(coarse).resize((20, 16), Image.Resampling.NEAREST)
    file = BytesIO()
    image.convert("L" if grey else "RGB").save(file, format)
    return file.getvalue()


def folder(root: Path, **numbers: range) -> Path:
    """Pictures of these numbers in folders of `root`: `train__cat` is train/cat, `_` is itself."""
    for name, each in numbers.items():
        where = root.joinpath(*(part for part in name.split("__") if part.strip("_")))
        where.mkdir(parents=True, exist_ok=True)
        for number in each:
            (where / f"{number:03}.png").write_bytes(picture(number))
    return root
