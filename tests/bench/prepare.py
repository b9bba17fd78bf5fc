"""Preparing many image files: with one thread and with two, killed, and large photographs.

python tests/bench/prepare.py    prints what takes the time of one image, on one core
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageOps
from process import cost
from row import Row
from timing import interleaved

from unlabel.data.compressed import encode
from unlabel.data.decode import decode, extent, is_grey

TITLE = "Preparing image files: threads, a kill, and large photographs"
FILES = ("train.arrow", "validation.arrow", "test.arrow", "report.json")
CLASSES, BLOCK = 10, 1000
SMALL = (48, 64)  # height and width
PHOTO, PHOTOS = (375, 500), 2000  # the usual size in ImageNet
MIB = 2**20


def draw(folder: Path, number: int, size: tuple[int, int]) -> None:
    """So many JPEG files, each a few random colours that run into each other, with noise."""
    for kind in range(CLASSES):
        (folder / str(kind)).mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        starts = range(0, number, BLOCK)
        list(pool.map(lambda at: _draw(folder, at, min(number, at + BLOCK), size), starts))


def _draw(folder: Path, start: int, end: int, size: tuple[int, int]) -> None:
    height, width = size
    random = np.random.default_rng(start)
    noise = random.integers(0, 24, (height + 64, width + 64, 3), np.uint8)
    for at in range(start, end):
        coarse = Image.fromarray(random.integers(0, 232, (6, 8, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))
        top, left = random.integers(0, 64, 2)
        image = Image.fromarray(smooth + noise[top : top + height, left : left + width])
        image.save(folder / str(at % CLASSES) / f"{at}.jpg", quality=90)


def command(images: Path, out: Path, workers: int, size: int, encoded: str | None) -> list[str]:
    """The command that prepares them."""
    out.mkdir(exist_ok=True)
    recipe = {"_target_": "unlabel.dataset.folder.Folder", "path": str(images)}
    recipe |= {"size": size, "encoded": encoded}
    (out / "params.yaml").write_text(yaml.safe_dump({"name": "bench", "dataset": recipe}))
    flags = {"params": out / "params.yaml", "raw": out / "raw", "workers": workers}
    flags |= {Path(name).stem: out / name for name in FILES}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "unlabel", "prepare", *words]


def digests(out: Path) -> list[str]:
    found = []
    for name in FILES:
        with (out / name).open("rb") as file:
            found.append(file_digest(file, "sha256").hexdigest())
    return found


def killed(words: list[str], raw: Path, after: int) -> float:
    """Kill it once `after` parts are kept; the seconds until then."""
    began, parts = time.monotonic(), raw / "unfinished/parts"
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while not parts.exists() or parts.read_bytes().count(b"\n") <= after:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return time.monotonic() - began


def measure(number: int = 100_000, photos: int = PHOTOS) -> Iterator[Row]:
    """Small files with one thread and two and killed at half; photographs at 224 and 288 pixels."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parents[2] / "data") as name:
        folder = Path(name).resolve()
        draw(folder / "small", number, SMALL)
        ways = {n: command(folder / "small", folder / f"by{n}", n, 32, None) for n in (1, 2)}
        made = {n: cost(*words) for n, words in ways.items()}
        same = digests(folder / "by1")
        assert digests(folder / "by2") == same
        rate = {n: number / each.seconds for n, each in made.items()}
        what = f"{number:,} JPEG files of {SMALL[0]}×{SMALL[1]}"
        yield Row(f"{what}, 2 threads", "1 thread, same bits", rate[2], rate[1], "images/s")
        draw(folder / "few", BLOCK, SMALL)
        few = cost(*command(folder / "few", folder / "few-out", 1, 32, None)).memory
        grown = (number - BLOCK) * 3 * 32**2 / MIB
        for n, each in made.items():
            more = each.memory - few
            yield Row(
                f"memory grows with images, {n} at a time", "their pixels", more, grown, "MiB"
            )
        half = command(folder / "small", folder / "killed", 2, 32, None)
        before = killed(half, folder / "killed/raw", number // BLOCK // 2)
        rest = cost(*half)
        assert digests(folder / "killed") == same
        assert "images were decoded before, and are kept" in rest.output
        whole = made[2].seconds
        yield Row(
            "killed at half: before and after", "undisturbed", before + rest.seconds, whole, "s"
        )
        draw(folder / "photos", photos, PHOTO)
        for side, encoded in ((224, None), (288, "jpeg")):
            each = [
                cost(*command(folder / "photos", folder / f"{side}-{n}", n, side, encoded))
                for n in (1, 2)
            ]
            assert digests(folder / f"{side}-1") == digests(folder / f"{side}-2")
            one, two = (photos / done.seconds for done in each)
            kept = f"stored at {side}, as {encoded or 'pixels'}"
            what = f"{PHOTO[0]}×{PHOTO[1]}, {kept}, 2 threads"
            yield Row(what, "1 thread, same bits", two, one, "images/s")


def shares(size: tuple[int, int], side: int, rounds: int = 9, many: int = 40) -> dict[str, float]:
    """The milliseconds of one core that each part of an image's preparation takes."""
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name), 1, size)
        encoded = (Path(name) / "0/0.jpg").read_bytes()
    pixels = decode(encoded, (3, side, side))
    with Image.open(BytesIO(encoded)) as image:
        image.load()
    ways: dict[str, Callable[[], object]] = {
        "decode and resize": lambda: decode(encoded, (3, side, side)),
        "decode": lambda: Image.open(BytesIO(encoded)).load(),
        "resize": lambda: ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC),
        "headers": lambda: (extent(encoded), is_grey(encoded)),
        "hashes": lambda: (sha256(encoded).digest(), sha256(pixels.tobytes()).digest()),
        "encode": lambda: encode(pixels, "jpeg"),
    }
    repeated = {name: partial(_repeat, way, many) for name, way in ways.items()}
    found = interleaved(repeated, rounds)
    return {name: 1000 * seconds / many for name, seconds in found.items()}


def _repeat(way: Callable[[], object], many: int) -> None:
    for _ in range(many):
        way()


if __name__ == "__main__":
    for each in (((32, 32), 32), ((224, 224), 224), (PHOTO, 32), (PHOTO, 224), (PHOTO, 288)):
        print(*each, {name: round(ms, 3) for name, ms in shares(*each).items()}, flush=True)
