"""Features of any images, by the command that makes them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

from unlabel.cli import main
from unlabel.features.extract import load_method

PHOTOS = 60  # in the folder of the fixture `made`


def embed(folder: Path, source: str, out: Path, *more: str) -> pa.Table:
    words = ["--run", str(folder / "run"), "--images", str(folder / source), "--out", str(out)]
    main(["embed", *words, *more])
    return pq.read_table(out)


def expected(folder: Path, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """h and z of images (B, C, H, W), all at once."""
    run = folder / "run"
    settings = yaml.safe_load((run / "params.yaml").read_text())["method"]
    method = load_method(settings, run / "encoder.safetensors", run / "method.safetensors")
    with torch.no_grad():
        h = method.encoder(image / 255)
        return h, method.embed(h)


def vectors(table: pa.Table, name: str) -> torch.Tensor:
    return torch.tensor(np.stack(table[name].to_numpy()))


def neighbours(made: Path, features: Path, *words: str) -> list[str]:
    return ["neighbors", "--features", str(features), "--run", str(made / "run"), *words]
