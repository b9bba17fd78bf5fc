"""Images are decoded ahead, in order, and only a few."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from unlabel.data import compressed, loader
from unlabel.data.compressed import CompressedImages, spool
from unlabel.data.images import Images
from unlabel.data.loader import batches, load
from unlabel.errors import UserError


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_parts_come_in_order_however_many_decode(
    digits: Images, png: Images, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, draw = compressed.decode, np.random.default_rng(0)

    def slow(*arguments: object) -> np.ndarray:
        time.sleep(float(draw.uniform(0, 1e-3)))
        return decode(*arguments)

    monkeypatch.setattr(compressed, "decode", slow)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    parts = [*order[:300].split(50), slice(7, 40), order[:0]]
    seen = list(load(png, parts, workers))
    assert [part for part, _ in seen] == parts
    for part, some in seen:
        assert torch.equal(some.image, digits.image[part])
        assert torch.equal(some.id, digits.id[part])
    assert [len(part.id) for part in batches(png, 150, workers)] == [150, 150, 150, 50]


def test_pixels_gathered_ahead_are_the_same(digits: Images) -> None:
    parts = [*torch.arange(499, 99, -1).split(50), slice(7, 40)]
    threads = set()
    for (part, some), expected in zip(load(digits, parts, 0, pinned=True), parts, strict=True):
        assert part is expected
        threads |= {t.name for t in threading.enumerate() if t.name.startswith("load")}
        assert all(torch.equal(a, b[part]) for a, b in zip(some, digits, strict=True))
    assert len(threads) == 1


def test_only_a_few_parts_are_decoded_ahead(png: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, asked = [], 0

    def parts():
        nonlocal asked
        for part in torch.arange(500).split(10):
            asked += 1
            yield part

    decode = compressed.decode
    monkeypatch.setattr(compressed, "decode", lambda *a: begun.append(1) or decode(*a))
    loaded = load(png, parts(), 2)
    for step, _ in zip(range(1, 6), loaded, strict=False):
        assert asked == step + loader.AHEAD
        assert len(begun) <= 10 * asked
    loaded.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("load")]


def damaged(png: Images, place: int, folder: Path) -> Images:
    files = png.image.file_bytes()
    files[place] = files[place][:40]
    ids = png.id + 1000
    image = CompressedImages(spool(files, folder), ids, png.image.size, "train.arrow")
    return png._replace(id=ids, image=image)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named_and_no_thread_stays(
    png: Images, workers: int, tmp_path: Path
) -> None:
    loaded = load(damaged(png, 123, tmp_path), torch.arange(500).split(20), workers)
    parts = [next(loaded)[0] for _ in range(6)]
    assert parts[-1].tolist() == list(range(100, 120))
    with pytest.raises(UserError, match=r"image 1123 of train\.arrow is damaged \(.*prepare") as e:
        next(loaded)
    assert "\n" not in str(e.value)
    assert not [t for t in threading.enumerate() if t.name.startswith("load")]
