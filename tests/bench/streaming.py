"""A set that memory does not hold: prepared, trained on and embedded in a quarter of its size.

python tests/bench/streaming.py [IMAGES]    as root on Linux, whose control groups set the limit
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
import yaml

from unlabel import compose, images
from unlabel.dataset import shapes
from unlabel.encoded import encode
from unlabel.hardware import Hardware, keep_memory
from unlabel.seeds import generator
from unlabel.settings import build
from unlabel.training import Training, fit

PARAMS = Path(__file__).parents[2] / "params"
SIDE, BATCH, STEPS, ROUNDS = 96, 64, 24, 5
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
    """So many shapes as JPEG files, in a folder for each kind."""
    shapes.SIDE = SIDE
    for kind in shapes.KINDS:
        (folder / kind).mkdir(parents=True)
    for start in range(0, number, 1000):
        kinds, _, pixels = shapes.picture(generator("bench", start), 1000, 3, 0.02)
        names = [list(shapes.KINDS)[kind] for kind in kinds.tolist()]
        for at, (name, each) in enumerate(zip(names, pixels.numpy(), strict=True), start):
            (folder / name / f"{at}.jpg").write_bytes(encode(each, "jpeg"))


def settings(workers: int) -> dict:
    variant = f"hardware.workers={workers},training.batch={BATCH}"
    run = compose.settings(PARAMS, "quick", "shapes", "simclr", variant)
    run["training"] |= {"epochs": 1, "images": None}
    run["features"] |= {"images": None, "batch": 250}
    return {"run": "bench"} | run


def train(path: Path, workers: int, copied: bool) -> None:
    """Print the images a second of some steps of SimCLR, and the processor's seconds for each."""
    keep_memory()
    found, data = images.read(path)
    if copied:
        found = found._replace(image=found.image.clone())
    run = settings(workers)
    hardware: Hardware = build(run["hardware"])
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
    size = number * 3 * SIDE**2
    python = [sys.executable, "-m", "unlabel"]
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        began = time.monotonic()
        draw(folder / "images", number)
        print(f"{number:,} images of {SIDE} x {SIDE} drawn in {time.monotonic() - began:.0f} s")
        recipe = {"_target_": "unlabel.dataset.folder.Folder", "path": str(folder / "images")}
        recipe |= {"size": SIDE, "test": 0.05, "validation": 0.05}
        quarter = size // 4
        kinds = {"pixels": None, "jpeg": quarter}
        for kind, limit in kinds.items():
            encoded = {"encoded": None if kind == "pixels" else kind}
            text = yaml.safe_dump({"name": "bench", "dataset": recipe | encoded})
            folder.joinpath(f"{kind}.yaml").write_text(text)
            splits = ("train", "validation", "test")
            paths = [w for s in splits for w in (f"--{s}", str(folder / kind / f"{s}.arrow"))]
            words = ["prepare", "--params", str(folder / f"{kind}.yaml"), "--raw", str(folder)]
            report(f"prepare, {kind}", python + words + paths, limit)
            bytes_ = sum(file.stat().st_size for file in (folder / kind).iterdir())
            print(f"  {bytes_ / 1e6:,.0f} MB on the disk")
        compare(folder, quarter)
        for workers in (0, 1):
            run = folder / f"run {workers}"
            run.mkdir()
            params = run / "params.yaml"
            params.write_text(yaml.safe_dump(settings(workers), sort_keys=False))
            start = ["--params", str(params)]
            train_ = ["--train", str(folder / "jpeg/train.arrow")]
            state = ["--state", str(run / "state"), "--out", str(run)]
            report(
                f"pretrain an epoch, {workers} workers",
                [*python, "pretrain", *start, *train_, *state],
                quarter,
            )
            files = ["--encoder", str(run / "encoder.safetensors")]
            files += ["--method", str(run / "method.safetensors")]
            out = ["--out", str(run / "features.parquet"), "--views", str(run / "views.parquet")]
            rest = paths[2:]
            report(
                f"features, {workers} workers",
                [*python, "features", *start, *files, *train_, *rest, *out],
                quarter,
            )


def report(what: str, words: list[str], limit: int | None) -> None:
    """Run a command in the limit, and print how long it took and the most memory it had."""
    began = time.monotonic()
    if limit is None:
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        print(f"{what}: {time.monotonic() - began:.0f} s, no limit")
        return
    with limited(limit) as group:
        subprocess.run(group.command(words), check=True, stderr=subprocess.DEVNULL)
        seconds, peak = time.monotonic() - began, group.peak()
    print(f"{what}: {seconds:.0f} s, at most {peak / 1e6:.0f} of {limit / 1e6:.0f} MB")


def compare(folder: Path, quarter: int) -> None:
    """Images a second from memory and from the disk, in turn."""
    ways = {"pixels in memory, no limit": ("pixels", 0, True, None)}
    ways |= {"pixels, memory-mapped": ("pixels", 0, False, quarter)}
    ways |= {f"jpeg, {n} workers": ("jpeg", n, False, quarter) for n in (0, 1, 2)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (kind, workers, copied, limit) in ways.items():
            path = folder / kind / "train.arrow"
            forget(path)
            words = [sys.executable, __file__, "train", str(path), str(workers), str(int(copied))]
            if limit is None:
                text = subprocess.run(words, check=True, capture_output=True).stdout
            else:
                with limited(limit) as group:
                    words = group.command(words)
                    text = subprocess.run(words, check=True, capture_output=True).stdout
            found[name].append(json.loads(text))
    first = median(each["rate"] for each in found["pixels in memory, no limit"])
    for name, each in found.items():
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
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
