"""The most memory each stage holds, against the size of its data."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from process import cost
from row import Row

from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.params import compose

TITLE = "Memory: the peak of each stage"
PARAMS = Path(__file__).parents[2] / "params"
SMALL, LARGE = 10_000, 110_000  # training images of 28×28
FEATURES, DIM, PART = 1_000_000, 512, 1000
MIB = 2**20

WRITE = """
import sys, torch
from pathlib import Path
from unlabel import features
from unlabel.features import Split
def parts():
    at, h = 0, torch.rand({part}, {dim})
    for split, number in (("train", {train}), ("validation", {part}), ("test", {part})):
        for _ in range(number // {part}):
            id = torch.arange(at, at + {part})
            at += {part}
            yield split, Split(id, id % 10, torch.empty({part}, 0, dtype=torch.int64), h)
features.write(Path(sys.argv[1]), parts(), tuple("0123456789"), {{}})
"""
READ = """
import sys
from pathlib import Path
from unlabel import features
columns, _ = features._read(Path(sys.argv[1]), ("id", "h"))
assert columns["h"].shape == ({train} + 2 * {part}, {dim}), columns["h"].shape
"""


def split(path: Path, number: int, start: int) -> int:
    """Write random images; their size in bytes."""
    made = torch.Generator().manual_seed(start)
    pixels = torch.randint(256, (number, 1, 28, 28), dtype=torch.uint8, generator=made)
    id = torch.arange(start, start + number)
    data = Data("random", (1, 28, 28), (0.5,), (0.3,), tuple("0123456789"), number, "", {})
    images.write(path, Images.of(id, pixels, id % 10), data)
    return pixels.nbytes


def stages(folder: Path, number: int) -> dict[str, tuple[float, float]]:
    """Of each stage, the peak and the size of the images in MiB."""
    folder.mkdir()
    paths = {name: folder / f"{name}.arrow" for name in ("train", "validation", "test")}
    size = sum(
        split(path, number if name == "train" else 2000, start)
        for start, (name, path) in zip((0, 10**7, 2 * 10**7), paths.items(), strict=True)
    )
    variant = "training.epochs=1+training.images=2560"
    settings = compose.settings(PARAMS, "quick", "fashion_mnist", "simclr", variant)
    settings = {**settings, "run": "memory", "features": settings["features"] | {"images": None}}
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump(settings))
    run = folder / "run"
    data = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    encoder = ["--encoder", f"{run}/encoder.safetensors"]
    made = ["--features", f"{run}/features.parquet", "--views", f"{run}/views.parquet"]
    written = ["--out", *made[1:]]  # the same two files
    commands = {
        "pretrain": ["--train", str(paths["train"]), "--state", f"{run}/state", "--out", str(run)],
        "features": [*encoder, "--method", f"{run}/method.safetensors", *data, *written],
        "probe": [*made, "--out", f"{run}/metrics"],
        "finetune": [*encoder, *data, "--out", f"{run}/finetune.json"],
    }
    peaks = {}
    for stage, flags in commands.items():
        done = cost(sys.executable, "-m", "unlabel", stage, "--params", str(params), *flags)
        peaks[stage] = (done.memory, size / MIB)
    return peaks


def measure(features: int = FEATURES) -> Iterator[Row]:
    """How the peak grows with eleven times the images; features of a million images."""
    loaded = cost(sys.executable, "-c", "import torch, unlabel.features.parquet").memory
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = stages(folder / "small", SMALL), stages(folder / "large", LARGE)
        for stage, (peak, size) in large.items():
            more, grown = max(1, peak - small[stage][0]), size - small[stage][1]
            yield Row(f"{stage}: growth with the images", "the images' growth", more, grown, "MiB")
        path = folder / "features.parquet"
        for case, number, code in (("written", features, WRITE), ("read", features // 2, READ)):
            sizes = {"train": number - 2 * PART, "part": PART, "dim": DIM}
            made = cost(sys.executable, "-c", WRITE.format(**sizes), str(path))
            done = (
                cost(sys.executable, "-c", READ.format(**sizes), str(path))
                if code is READ
                else made
            )
            size = number * DIM * 4 / MIB
            more = done.memory - loaded - (size if code is READ else 0)
            what = f"{number:,} × {DIM} features {case}, beside them"
            yield Row(what, "their size", more, size, "MiB", 2)
