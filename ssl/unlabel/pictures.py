"""Pictures of what a method does, as it shows them itself."""

import io
from pathlib import Path

import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor

from unlabel import files
from unlabel.hardware import Hardware
from unlabel.images import Images
from unlabel.method import Method
from unlabel.seeds import derive

SHOWN = 8  # images


def draw(path: Path, method: Method, examples: Images, hardware: Hardware, seed: int) -> None:
    """Write a table of `caption`, `index` and `png`, one row for each picture of `method.show`."""
    torch.manual_seed(derive(seed, "pictures"))
    method.eval()
    with hardware.autocast():
        shown = method.show(hardware.pixels(examples.image[:SHOWN]))
    rows = [
        {"caption": caption, "index": index, "png": png(image)}
        for caption, images in shown.items()
        for index, image in enumerate(images)
    ]
    schema = pa.schema({"caption": pa.string(), "index": pa.int64(), "png": pa.binary()})
    files.write_table(path, rows, schema)


def png(image: Tensor) -> bytes:
    """A PNG file of an image in [0, 1] (C, H, W); C is 1 or 3."""
    pixels = image.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).squeeze(2).numpy()).save(buffer, "PNG")
    return buffer.getvalue()
