"""A set that memory does not hold: prepared, trained on and embedded in a quarter of its size.

python tests/bench/streaming.py [IMAGES]    as root on Linux, whose control groups set the limit
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
import yaml

from unlabel.cli import keep_memory
from unlabel.data import images
from unlabel.data.compressed import encode
from unlabel.dataset import shapes
from unlabel.hardware import Hardware
from unlabel.params import compose
from unlabel.params.settings import build
from unlabel.seeds import generator
from unlabel.training.loop import Training, fit

PARAMS = Path(__file__).parents[2] / "params"
SIDE, BATCH, WIDTH, STEPS, ROUNDS = 96, 32, 8, 32, 3
GROUPS = Path("/sys/fs/cgroup")
VERSIONS = (  # of control groups: where, the limit, the most that was used
    (GROUPS / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    (GROUPS, "memory.max", "memory.peak"),
)


class Group:
    """A control group of so much memory, files' cached pages included."""

    def __init__(self, limit: int):
        root, name, self.peak_name = next(v for v in VERSIONS if v[0].is_dir())
        self.folder = root / f"unlabel-bench-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / name).write_text(str(limit))

    def command(self, words: list[str]) -> list[str]:
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh", *words]

    def peak(self) -> int:
        return int((self.folder / self.peak_name).read_text())


@contextmanager
def limited(limit: int) -> Iterator[Group]:
    group = Group(limit)
    try:
        yield group
    finally:
        group.folder.rmdir()


def draw(folder: Path, number: int) -> None:
    """So many shapes as JPEG files, in a folder for each kind: enlarged, and with new noise."""
    for kind in shapes.KINDS:
        (folder / kind).mkdir(parents=True)
    for start in range(0, number, 1000):
        random = generator("bench", start)
        kinds, _, small = shapes.picture(random, 1000, 3, 0)
        pixels = F.interpolate(small.float(), (SIDE, SIDE), mode="bilinear")
        noise = torch.randn(1000, 1, SIDE, SIDE, generator=random)
        pixels = (pixels + 4 * noise).clamp(0, 255).to(torch.uint8)
        names = [list(shapes.KINDS)[kind] for kind in kinds.tolist()]
        for at, (name, each) in enumerate(zip(names, pixels.numpy(), strict=True), start):
            (folder / name / f"{at}.jpg").write_bytes(encode(each, "jpeg"))


def settings(workers: int) -> dict:
    variant = f"encoder.width={WIDTH}+hardware.workers={workers}+training.batch={BATCH}"
    run = compose.settings(PARAMS, "quick", "shapes", "simclr", variant)
    run["training"] |= {"epochs": 1, "images": None}
    run["features"] |= {"images": None, "batch": 64}
    return {"run": "bench"} | run


def train(path: Path, workers: int, copied: bool) -> None:
    """Print the images a second of some steps of SimCLR, and the processor's seconds for each."""
    keep_memory()
    found, data = images.read(path)
    if copied:
        found = found._replace(image=found.image.clone())
    run = settings(workers)
    hardware: Hardware = build(run["hardware"]).resolve()
    hardware.configure()
    torch.manual_seed(0)
    method = build(run["method"], encoder=build(run["encoder"], data=data), data=data)
    hardware.move(method)
    optimizers = [build(run["optimizer"], module=method)]
    loop = fit(method, found, optimizers, Training(epochs=1, batch=BATCH), hardware, 0)
    next(loop)
    began, used = time.monotonic(), time.process_time()
    for _ in range(STEPS):
        next(loop)
    seconds, used = time.monotonic() - began, time.process_time() - used
    loop.close()
    print(json.dumps({"rate": BATCH * STEPS / seconds, "used": used / BATCH / STEPS}))


def main(number: int) -> None:
    limit = number * 3 * SIDE**2 // 4
    with tempfile.TemporaryDirectory(dir=PARAMS.parent / "data") as name:
        folder = Path(name).resolve()
        began = time.monotonic()
        draw(folder / "images", number)
        print(f"{number:,} images of {SIDE} x {SIDE} drawn in {time.monotonic() - began:.0f} s")
        splits = ("train", "validation", "test")
        paths = [w for split in splits for w in (f"--{split}", str(folder / f"{split}.arrow"))]
        recipe = {"_target_": "unlabel.dataset.folder.Folder", "path": str(folder / "images")}
        recipe |= {"size": SIDE, "test": 0.05, "validation": 0.05, "encoded": "jpeg"}
        dataset = write(folder / "dataset.yaml", {"name": "bench", "dataset": recipe})
        report("prepare", ["prepare", *dataset, "--raw", str(folder), *paths], limit)
        on_disk = sum(file.stat().st_size for file in folder.glob("*.arrow"))
        print(f"  {on_disk / 1e6:,.0f} MB on the disk, {4 * limit / 1e6:,.0f} MB of pixels")
        params = write(folder / "params.yaml", settings(workers=1))
        out = ["--state", str(folder / "state"), "--out", str(folder / "run")]
        report("pretrain, an epoch", ["pretrain", *params, *paths[:2], *out], limit)
        run = ["--encoder", str(folder / "run/encoder.safetensors")]
        run += ["--method", str(folder / "run/method.safetensors")]
        out = ["--out", str(folder / "features.parquet"), "--views", str(folder / "views.parquet")]
        report("features", ["features", *params, *run, *paths, *out], limit)
        compare(folder, limit)


def write(path: Path, values: dict) -> list[str]:
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return ["--params", str(path)]


def report(what: str, words: list[str], limit: int) -> None:
    """Run a stage in the limit, and print how long it took and the most memory it had."""
    began = time.monotonic()
    with limited(limit) as group:
        command = group.command([sys.executable, "-m", "unlabel", *words])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds, peak = time.monotonic() - began, group.peak()
    print(f"{what}: {seconds:.0f} s, at most {peak / 1e6:.0f} of {limit / 1e6:.0f} MB")


def compare(folder: Path, limit: int) -> None:
    """Images a second from memory and from the disk, in turn."""
    pixels, jpeg = folder / "pixels.arrow", folder / "train.arrow"
    found, data = images.read(jpeg)
    images.write(pixels, found.decoded(), data)
    del found
    ways = {"pixels in memory, no limit": (pixels, 0, True)}
    ways |= {"pixels, memory-mapped": (pixels, 0, False)}
    ways |= {f"jpeg, {n} workers": (jpeg, n, False) for n in (0, 1, 2)}
    rates: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name in list(rates):
            path, workers, copied = ways[name]
            forget(path)
            words = [sys.executable, __file__, "train", str(path), str(workers), str(int(copied))]
            with limited(1 << 40 if copied else limit) as group:
                done = subprocess.run(group.command(words), capture_output=True)
            if done.returncode == -signal.SIGKILL:
                print(f"  {name:28}killed: it needs more memory")
                del rates[name]
                continue
            done.check_returncode()
            rates[name].append(json.loads(done.stdout))
    first = median(each["rate"] for each in rates["pixels in memory, no limit"])
    for name, each in rates.items():
        rate, used = (median(one[key] for one in each) for key in ("rate", "used"))
        print(f"  {name:28}{rate:7,.0f} images/s  {rate / first:.2f}  {used * 1e3:.2f} ms of CPU")


def forget(path: Path) -> None:
    """Have the kernel drop the file's pages, which another group may have paid for."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1")
    else:
        torch.set_num_threads(1)
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
