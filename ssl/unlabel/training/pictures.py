"""Pictures of what a method does, from its own `show`."""

from pathlib import Path

import pyarrow as pa
import torch

from unlabel import files
from unlabel.data.images import Images
from unlabel.data.png import png
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.seeds import derive

SHOWN = 8  # images


def draw(path: Path, method: Method, examples: Images, hardware: Hardware, seed: int) -> None:
    """Write a table of `caption`, `index` and `png`, one row for each picture of `method.show`."""
    torch.manual_seed(derive(seed, "pictures"))
    method.eval()
    with hardware.autocast():
        pictures = method.show(hardware.pixels(examples.image[:SHOWN]))
    shown = method.encoder.data.preprocessing.get("shown")
    rows = [
        {"caption": caption, "index": index, "png": png(image, shown)}
        for caption, images in pictures.items()
        for index, image in enumerate(images)
    ]
    schema = pa.schema({"caption": pa.string(), "index": pa.int64(), "png": pa.binary()})
    files.write_table(path, rows, schema)
