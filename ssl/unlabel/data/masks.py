"""The class of each pixel of a dataset's images, in memory and as an Arrow file.

The file has the columns `id` (int64) and `mask` (a fixed-shape tensor, uint8 (H, W)). It is a file
of its own, so that who needs no masks reads none, and the images' files stay as they are.
"""

import json
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, ImageOps
from torch import Tensor

from unlabel.data.archive import members
from unlabel.errors import UserError, damage
from unlabel.files import whole

NEAREST = Image.Resampling.NEAREST
LARGEST = 1 << 30  # bytes of all files in an archive
IGNORED = 255  # a pixel that counts nowhere


class Masks(NamedTuple):
    """Masks of N images."""

    id: Tensor  # int64 (N,), of the image
    mask: Tensor  # uint8 (N, H, W), the class of each pixel; `IGNORED` if it has none
    classes: tuple[str, ...]

    def of(self, id: Tensor) -> Tensor:
        """The masks of images (n,), as (n, H, W). Raises `UserError` if an image has none."""
        order = self.id.argsort()
        place = torch.searchsorted(self.id, id, sorter=order).clamp(max=len(self.id) - 1)
        rows = order[place]
        if (missing := id[self.id[rows] != id]).numel():
            raise UserError(f"image {int(missing[0])} has no mask; prepare the masks again")
        return self.mask[rows]


def decoded(path: Path, folder: str, names: Sequence[str], size: tuple[int, int]) -> Tensor:
    """The PNG masks with these names below `folder`, in an archive or a folder: uint8 (N, H, W).

    The middle of each, resized without mixing classes, as `decode` does it with images that are
    cropped. Raises `UserError` if one is missing, or is not such an image.
    """
    rows = {name: row for row, name in enumerate(names)}
    mask = np.empty((len(names), *size), np.uint8)
    for member in members(path, LARGEST):
        name = member.name.removeprefix("./").removeprefix(f"{folder}/")
        if (row := rows.pop(name, None)) is not None:
            with damage(f"{path} has a damaged mask {name}", "get another copy"):
                with Image.open(BytesIO(member.read()), formats=("PNG",)) as image:
                    if image.mode not in ("L", "P"):
                        raise ValueError(f"its mode is {image.mode}")
                    mask[row] = np.asarray(ImageOps.fit(image, size[::-1], NEAREST))
    if rows:
        raise UserError(f"{path} has no {next(iter(rows))}; get a whole copy")
    return torch.from_numpy(mask)


def write(path: Path, masks: Masks) -> None:
    """Write masks, whole or not at all."""
    height, width = masks.mask.shape[1:]
    flat = pa.array(masks.mask.contiguous().numpy().reshape(-1))
    pixels = pa.FixedSizeListArray.from_arrays(flat, height * width)
    kind = pa.fixed_shape_tensor(pa.uint8(), [height, width])
    table = pa.table(
        {"id": masks.id.numpy(), "mask": pa.ExtensionArray.from_storage(kind, pixels)}
    ).replace_schema_metadata({"classes": json.dumps(masks.classes)})
    with whole(path) as part, pa.OSFile(str(part), "wb") as sink:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(1, len(masks.id)))


def read(path: Path) -> Masks:
    """Map masks into memory. Raises `UserError` if the file is missing or damaged."""
    if not path.exists():
        raise UserError(f"{path} does not exist: prepare the masks first")
    with damage(f"{path} is not a whole file of masks", "delete it and prepare the masks again"):
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        classes = tuple(json.loads(table.schema.metadata[b"classes"]))
        with warnings.catch_warnings():
            # The pages are read-only, and nothing here writes to them.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            mask = torch.from_numpy(table["mask"].combine_chunks().to_numpy_ndarray())
        return Masks(torch.tensor(table["id"].to_numpy()), mask, classes)
