"""The most memory each stage holds, against the size of its data."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from process import Cost, cost
from row import Row

from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.nn.nearest import CHUNK
from unlabel.params import compose
from unlabel.probe._axes import KEPT

TITLE = "Memory: the peak of each stage"
PARAMS = Path(__file__).parents[2] / "params"
SMALL, LARGE = 10_000, 110_000  # training images of 28×28
FEATURES, DIM, PART, CLASSES = 1_000_000, 512, 1000, 10
LONG = 100_000, 2048  # images, and the length of their features, that probes measure
BESIDE = 512  # MiB that a probe may need beside the features and those that it has turned
FREED = {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back to the system at once
MIB = 2**20

WRITE = """
import sys, torch
from pathlib import Path
from unlabel.features import parquet
from unlabel.features.split import Split, Views
draw = torch.Generator().manual_seed(0)
centres = torch.randn({classes}, {dim}, generator=draw) * 2 / {dim} ** 0.5
def parts():
    at = 0
    for split, number in (("train", {train}), ("validation", {part}), ("test", {part})):
        for _ in range(number // {part}):
            id = torch.arange(at, at + {part})
            at += {part}
            label = torch.randint({classes}, ({part},), generator=draw)
            h = centres[label] + torch.randn({part}, {dim}, generator=draw)
            yield split, Split(id, label, torch.empty({part}, 0, dtype=torch.int64), h)
folder = Path(sys.argv[1])
parquet.write(folder / "features.parquet", parts(), tuple(map(str, range({classes}))), {{}})
h = torch.rand(2, {dim})
parquet.write_views(folder / "views.parquet", [("all", Views(torch.arange(2), h, h))], ["all"])
"""
READ = """
import sys, torch
from dataclasses import replace
from pathlib import Path
from unlabel.features import parquet
from unlabel.nn import nearest
from unlabel.probe import _axes
from unlabel.probe.knn import KNN
from unlabel.probe.linear import Linear
torch.set_num_threads(1)
folder = Path(sys.argv[1])
found = parquet.read(folder / "features.parquet", folder / "views.parquet")
assert found.train.h.shape == ({train}, {dim}), found.train.h.shape
"""
PROBE = """
_axes.KEPT, nearest.CHUNK = {kept}, {chunk}
def held(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 2**10
for probe in (KNN(20), Linear([1e-3])):
    probe.measure(replace(found, train=found.train.take(slice({part}))), 0)  # loads its code
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
    before = held("VmRSS")
    probe.measure(found, 0)
    print(held("VmHWM") - before)
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


def made(folder: Path, number: int, dim: int, classes: int = CLASSES) -> Cost:
    """Write features of `number` images, most of them of train, through the project's writer."""
    sizes = {"train": number - 2 * PART, "part": PART, "dim": dim, "classes": classes}
    return cost(sys.executable, "-c", WRITE.format(**sizes), str(folder))


def read(folder: Path, number: int, dim: int, then: str = "") -> Cost:
    """Read them as the probes do, and then run some code."""
    code = READ.format(train=number - 2 * PART, dim=dim) + then
    return cost(sys.executable, "-c", code, str(folder), extra=FREED)


def probed(
    folder: Path, number: int, dim: int, kept: int = KEPT, chunk: int = CHUNK
) -> tuple[float, float]:
    """What kNN and the linear classifier need beside the features at their peak, in MiB.

    `kept` bytes of turned features are kept; `chunk` of a bank's vectors are compared at a time.
    """
    code = PROBE.format(part=PART, kept=kept, chunk=chunk)
    knn, linear = read(folder, number, dim, code).output.splitlines()[-2:]
    return float(knn), float(linear)


def of_features(folder: Path, number: int) -> Iterator[Row]:
    """Writing and reading many, and probes of them."""
    loaded = cost(sys.executable, "-c", "import torch, unlabel.features.parquet").memory
    for case, rows in (("written", number), ("read", number // 2)):
        done = made(folder, rows, DIM)
        size = rows * DIM * 4 / MIB
        more = done.memory - loaded
        if case == "read":
            more = read(folder, rows, DIM).memory - loaded - size
        what = f"{rows:,} × {DIM} features {case}, beside them"
        yield Row(what, "their size", more, size, "MiB", 2)
    made(folder, *LONG)
    size = LONG[0] * LONG[1] * 4 / MIB
    knn, linear = probed(folder, *LONG)
    _, anew = probed(folder, *LONG, kept=0)
    for case, more, bound in (
        ("kNN", knn, BESIDE),
        ("linear", linear, min(size, KEPT / MIB) + BESIDE),
        ("linear, turned in each pass", anew, BESIDE),
    ):
        what = f"{case}: {LONG[0]:,} × {LONG[1]:,} features, beside them"
        yield Row(what, "the bound", more, bound, "MiB", 1)


def measure(features: int = FEATURES) -> Iterator[Row]:
    """How the peak grows with eleven times the images; features of a million images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = stages(folder / "small", SMALL), stages(folder / "large", LARGE)
        for stage, (peak, size) in large.items():
            more, grown = max(1, peak - small[stage][0]), size - small[stage][1]
            yield Row(f"{stage}: growth with the images", "the images' growth", more, grown, "MiB")
        yield from of_features(folder, features)
