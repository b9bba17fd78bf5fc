"""A large set is prepared by any number of threads, killed and taken up, with the same bits."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from support.models import PARAMS
from support.pixels import folder
from unlabel.data import unfinished
from unlabel.dataset import _decoding
from unlabel.stage import prepare

FILES = [f"{split}.arrow" for split in prepare.SPLITS] + ["report.json"]
SAID = "images were decoded before, and are kept"
# Dies as by `kill -9` once two parts are kept.
KILLED = """
import os, sys
from pathlib import Path
from unlabel.data.unfinished import Unfinished
from unlabel.dataset import _decoding
from unlabel.stage import prepare
_decoding.PART = 20
end_part, ended = Unfinished.end_part, []
def end_and_die(self, about):
    end_part(self, about)
    ended.append(about)
    if len(ended) == 2:
        self.add(b"half of an ima")
        self.images.flush()
        os.kill(os.getpid(), 9)
Unfinished.end_part = end_and_die
paths = list(map(Path, sys.argv[1:]))
prepare.run(*paths, workers=2)
"""


class Stopped(Exception):
    """As if the process had been ended."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """70 images: one damaged, one grey, one with an odd name, and no file for one."""
    root = folder(tmp_path / "photos", cat=range(34), dog=range(34, 68))
    (root / "cat/torn.png").write_bytes((root / "cat/003.png").read_bytes()[:60])
    Image.new("L", (9, 30), 80).save(root / "dog/a b.jpg")
    return root


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decoding, "PART", 20)


def arguments(out: Path, root: Path, **settings: object) -> list[Path]:
    recipe = yaml.safe_load((PARAMS / "dataset/folder.yaml").read_text())
    recipe |= {"path": str(root), "size": 16, "unreadable": 0.1, **settings}
    out.mkdir(exist_ok=True)
    (out / "params.yaml").write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    return [out / "params.yaml", out / "raw", *(out / name for name in FILES)]


def made(out: Path, root: Path, workers: int = 1, **settings: object) -> dict[str, bytes]:
    """The files of a set, once nothing unfinished is left."""
    prepare.run(*arguments(out, root, **settings), workers=workers)
    assert not any((out / "raw").iterdir())
    return {name: (out / name).read_bytes() for name in FILES}


def stop(out: Path, root: Path, after: int, **settings: object) -> None:
    """Prepare until so many parts are kept."""
    left = after

    def end_part(self: unfinished.Unfinished, about: object) -> None:
        nonlocal left
        end(self, about)
        left -= 1
        if not left:
            raise Stopped

    end = unfinished.Unfinished.end_part
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unfinished.Unfinished, "end_part", end_part)
        with pytest.raises(Stopped):
            prepare.run(*arguments(out, root, **settings))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are decoded."""
    names: list[str] = []
    look = _decoding.look

    def noted(example, form, scale):
        names.append(example.name)
        return look(example, form, scale)

    monkeypatch.setattr(_decoding, "look", noted)
    return names


@pytest.mark.parametrize("encoded", [None, "jpeg"])
def test_any_number_of_threads_makes_the_same_files(
    tmp_path: Path, photos: Path, parts: None, encoded: str | None
) -> None:
    one = made(tmp_path / "one", photos, encoded=encoded)
    assert made(tmp_path / "three", photos, workers=3, encoded=encoded) == one


def test_a_killed_preparation_goes_on_to_the_same_files(
    tmp_path: Path, photos: Path, parts: None, looked: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    whole = made(tmp_path / "whole", photos)
    assert len(looked) == 70
    assert SAID not in capfd.readouterr().err
    killed = tmp_path / "killed"
    words = [sys.executable, "-c", KILLED, *map(str, arguments(killed, photos))]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert not (killed / "train.arrow").exists()
    looked.clear()
    assert made(killed, photos) == whole
    assert len(looked) == 30
    assert f"40 of 70 {SAID}" in capfd.readouterr().err


def change_a_file(root: Path, out: Path) -> None:
    name = sorted(root.rglob("*.png"))[25]
    Image.new("RGB", (20, 20), (200, 10, 9)).save(name)


def add_a_file(root: Path, out: Path) -> None:
    Image.new("RGB", (20, 20), (1, 2, 3)).save(root / "cat/0.png")


def flip_a_bit(root: Path, out: Path) -> None:
    place = out / "raw/unfinished/images"
    content = bytearray(place.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    place.write_bytes(content)


def cut_a_line(root: Path, out: Path) -> None:
    place = out / "raw/unfinished/parts"
    place.write_bytes(place.read_bytes()[:-9])


def damage_the_key(root: Path, out: Path) -> None:
    place = out / "raw/unfinished/parts"
    place.write_bytes(b"1" + place.read_bytes())


@pytest.mark.parametrize("encoded", [None, "png"])
@pytest.mark.parametrize(
    ("harm", "again"),
    [
        (change_a_file, 50),
        (add_a_file, 71),
        (flip_a_bit, 50),
        (cut_a_line, 50),
        (damage_the_key, 70),
    ],
)
def test_only_what_is_whole_and_the_same_is_kept(
    tmp_path: Path, photos: Path, parts: None, looked: list[str], encoded: str | None,
    harm: Callable[[Path, Path], None], again: int,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    stop(out, photos, after=2, encoded=encoded)
    harm(photos, out)
    looked.clear()
    found = made(out, photos, encoded=encoded)
    assert len(looked) == again
    assert made(tmp_path / "anew", photos, encoded=encoded) == found


def test_another_size_forgets_what_was_made(
    tmp_path: Path, photos: Path, parts: None, looked: list[str]
) -> None:
    out = tmp_path / "out"
    stop(out, photos, after=2)
    looked.clear()
    assert made(out, photos, size=12) == made(tmp_path / "anew", photos, size=12)
    assert len(looked) == 140


def test_deep_pixels_are_kept_only_at_the_scale_of_all_images(
    tmp_path: Path, parts: None, looked: list[str]
) -> None:
    root = folder(tmp_path / "photos", _=range(25))
    for number in range(25):
        top = 4000 if number == 24 else 1000
        pixels = np.linspace(0, top, 256).reshape(16, 16).astype(np.uint16)
        Image.fromarray(pixels).save(root / f"deep{number}.png")
    out = tmp_path / "out"
    stop(out, root, after=2)
    looked.clear()
    found = made(out, root)
    assert len(looked) == 10
    assert made(tmp_path / "anew", root, workers=3) == found
    stop(out, root, after=2)
    for number in range(25):
        pixels = np.full((16, 16), 500, np.uint16)
        pixels[0, 0] = 2000
        if number == 24:
            Image.fromarray(pixels).save(root / f"deep{number}.png")
    looked.clear()
    assert made(out, root) == made(tmp_path / "new", root)
    assert len(looked) > 50 + 25


def test_a_set_that_is_refused_is_not_decoded_again(
    tmp_path: Path, photos: Path, parts: None, looked: list[str]
) -> None:
    with pytest.raises(Exception, match="cannot be read, more than unreadable=0.001"):
        made(tmp_path / "out", photos, unreadable=0.001)
    looked.clear()
    made(tmp_path / "out", photos)
    assert looked == []
