"""Images and labels of one split, in memory and as a memory-mapped Arrow file.

The file has the columns `id` (int64), `image` (a fixed-shape tensor, uint8 (C, H, W)), `label` and,
for each factor, `factor_NAME` (int64, null where an image has none), and in its schema's metadata
what a model must know beforehand.
"""

import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from unlabel.errors import UserError
from unlabel.files import whole

UNLABELLED = -1


class Images(NamedTuple):
    """A set of N images."""

    id: Tensor  # int64 (N,)
    image: Tensor  # uint8 (N, C, H, W)
    label: Tensor  # int64 (N,), -1 where there is none
    factor: Tensor  # int64 (N, F), what else is known of each; -1 where there is nothing

    @classmethod
    def of(cls, id: Tensor, image: Tensor, label: Tensor) -> "Images":
        """Images of which nothing is known but their label: F is 0."""
        return cls(id, image, label, torch.empty(len(id), 0, dtype=torch.int64))

    def take(self, index: Tensor) -> "Images":
        """The images at `index` (n,), copied."""
        return Images(*(each[index] for each in self))


@dataclass(frozen=True)
class Data:
    """What a model must know of a dataset before it sees an image."""

    name: str
    shape: tuple[int, int, int]  # (C, H, W)
    mean: tuple[float, ...]  # of each channel, for pixels in [0, 1]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    size: int  # the number of images in the split, or of those that are trained on
    source: str  # where the images came from
    sha256: dict[str, str]  # of each raw file
    # the columns of `Images.factor`, in order: each one's name, and the names of its values
    factors: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> "Data":
        """From JSON, whose lists become tuples again."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        values["factors"] = {k: tuple(v) for k, v in fields.get("factors", {}).items()}
        return cls(**values)


def write(path: Path, images: Images, data: Data) -> None:
    """Write one split, whole or not at all."""
    size = list(images.image.shape[1:])
    pixels = pa.FixedSizeListArray.from_arrays(
        pa.array(images.image.numpy().reshape(-1)), int(np.prod(size))
    )
    image = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), size), pixels)
    columns = {"id": images.id.numpy(), "image": image, "label": known(images.label)}
    for name, values in zip(data.factors, images.factor.unbind(1), strict=True):
        columns[f"factor_{name}"] = known(values)
    table = pa.table(columns)
    table = table.replace_schema_metadata({"unlabel": json.dumps(asdict(data), sort_keys=True)})
    with whole(path) as part, pa.OSFile(str(part), "wb") as sink:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(1, len(table)))


def known(values: Tensor) -> pa.Array:
    """A column of labels (N,), null where they are -1."""
    return pa.array(values.cpu().numpy(), mask=(values == UNLABELLED).cpu().numpy())


def read(path: Path) -> tuple[Images, Data]:
    """Map one split into memory; jobs on one machine share its pages.

    Raises `UserError` if the file is missing, truncated or of another format.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        data = Data.parse(json.loads(table.schema.metadata[b"unlabel"]))
        image = table["image"].combine_chunks()
        image = image.to_numpy_ndarray() if len(table) else np.empty((0, *data.shape), np.uint8)
        label = _labels(table["label"])
        factors = [_labels(table[f"factor_{name}"]) for name in data.factors]
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: prepare the dataset first") from error
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not a whole prepared dataset ({error}); delete it and prepare it again"
        ) from error
    with warnings.catch_warnings():
        # The pages are read-only; nothing here writes to them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        image = torch.from_numpy(image)
    ids = torch.tensor(table["id"].to_numpy())
    images = Images.of(ids, image, label)
    return images._replace(factor=torch.stack(factors, 1)) if factors else images, data


def _labels(column: pa.ChunkedArray) -> Tensor:
    return torch.tensor(column.fill_null(UNLABELLED).to_numpy())
