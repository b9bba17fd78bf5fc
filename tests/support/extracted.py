"""A run's features, as the stage extracts them."""

from pathlib import Path

from support.clouds import SIZES
from unlabel.cli import main


def flags(folder: Path, **files: str) -> list[str]:
    given = {"params": "params.yaml"} | files
    return [part for name, file in given.items() for part in (f"--{name}", str(folder / file))]


SPLITS = {name: f"{name}.arrow" for name in SIZES}


RUN = {"encoder": "encoder.safetensors", "method": "method.safetensors"}


FEATURES = {"features": "features.parquet", "views": "views.parquet"}


def extracted(folder: Path, out: str = "features.parquet", views: str = "views.parquet") -> Path:
    main(["features", *flags(folder, **RUN, **SPLITS, out=out, views=views)])
    return folder / out
