"""Features of any images, by the command that makes them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from unlabel.cli import main

PHOTOS = 60  # in the folder of the fixture `made`


def embed(folder: Path, source: str, out: Path, *more: str) -> pa.Table:
    words = ["--run", str(folder / "run"), "--images", str(folder / source), "--out", str(out)]
    main(["embed", *words, *more])
    return pq.read_table(out)


def vectors(table: pa.Table, name: str) -> torch.Tensor:
    return torch.tensor(np.stack(table[name].to_numpy()))


def neighbours(made: Path, features: Path, *words: str) -> list[str]:
    return ["neighbors", "--features", str(features), "--run", str(made / "run"), *words]
