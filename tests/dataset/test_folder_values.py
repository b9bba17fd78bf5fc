"""Deep pixels and many channels are scaled by the range of the set."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from support.own_images import prepared
from support.pixels import folder, picture
from unlabel.errors import UserError


@pytest.mark.parametrize("encoded", [None, "png"])
@pytest.mark.parametrize("top", [255, 4095, 65535])
def test_deep_pixels_are_scaled_by_the_range_of_the_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], top: int, encoded: str | None
) -> None:
    draw = np.random.default_rng(0)
    for number in range(20):
        pixels = draw.integers(0, top + 1, (16, 16)).astype(np.uint16)
        pixels[0, 0] = top * (number % 2)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    splits, report = prepared(tmp_path / "out", tmp_path, encoded=encoded)
    assert report["range"] == [0, top]
    said = capsys.readouterr().err
    assert f"pixels of more than 8 bits, scaled from 0 to {top:g} (range)" in said
    assert len(splits[0][0].pixels.unique()) == 256
    again = prepared(tmp_path / "again", tmp_path, range=[0, top], encoded=encoded)[0]
    assert torch.equal(splits[0][0].pixels, again[0][0].pixels)
    half = prepared(tmp_path / "half", tmp_path, range=[0, top / 2], encoded=encoded)[0][0][0]
    assert (half.pixels == 255).float().mean() > 0.4


@pytest.mark.parametrize("encoded", [None, "png"])
def test_deep_colours_are_scaled_by_the_range_of_the_set(
    tmp_path: Path, encoded: str | None
) -> None:
    draw = np.random.default_rng(0)
    for number in range(12):
        pixels = draw.integers(0, 4096, (16, 16, 3)).astype(np.uint16)
        pixels[0, 0] = 4095 * (number % 2)
        tifffile.imwrite(tmp_path / f"{number}.tif", pixels, photometric="rgb")
    splits, report = prepared(tmp_path / "out", tmp_path, encoded=encoded)
    assert report["range"] == [0, 4095]
    assert splits[0][1].shape == (3, 16, 16)
    assert len(splits[0][0].pixels.unique()) == 256
    half = prepared(tmp_path / "half", tmp_path, range=[0, 2048], encoded=encoded)[0][0][0]
    assert (half.pixels == 255).float().mean() > 0.4


def test_channels_of_signed_bytes_have_a_range(tmp_path: Path) -> None:
    for number in range(12):
        pixels = np.random.default_rng(number).integers(-128, 128, (16, 16, 5)).astype(np.int8)
        np.save(tmp_path / f"{number}.npy", pixels)
    splits, report = prepared(tmp_path / "out", tmp_path)
    assert all(low < -120 and high > 120 for low, high in report["range"])
    assert len(splits[0][0].pixels.unique()) > 200


def test_the_first_images_need_not_be_the_deep_ones(tmp_path: Path) -> None:
    folder(tmp_path, _=range(9))
    for number, top in ((11, 1000), (12, 3000)):
        pixels = np.linspace(0, top, 256).reshape(16, 16).astype(np.uint16)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    assert prepared(tmp_path / "out", tmp_path)[1]["range"] == [0, 3000]


def bands(root: Path, numbers: range, channels: int = 5) -> Path:
    """Arrays with a channel c of values from 0 to some 1000 c."""
    for number in numbers:
        draw = np.random.default_rng(number)
        pixels = draw.integers(0, 1000, (20, 20, channels)) * np.arange(1, channels + 1)
        path = root / str(number % 2) / f"{number:02}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, pixels.astype(np.uint16))
    return root


def test_each_of_many_channels_is_scaled_by_its_own_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = bands(tmp_path / "bands", range(20))
    splits, report = prepared(tmp_path / "out", root, shown=[3, 1, 0])
    said = capsys.readouterr().err
    assert "5 channels; pictures show 3 as red, 1 as green, 0 as blue (shown)" in said
    assert "pixels of more than 8 bits, scaled from " in said
    assert "and 2 more, each channel by its own (range)" in said
    assert [split.shape for _, split in splits] == [(5, 16, 16)] * 3
    mean, deviation = splits[0][1].mean, splits[0][1].std
    assert max(mean) - min(mean) < 0.05
    assert min(deviation) > 0.1
    highest = [high for _, high in report["range"]]
    assert [round(high / 1000, 1) for high in highest] == [1, 2, 3, 4, 5]
    record = splits[0][1].preprocessing
    assert (record["range"], record["shown"]) == (report["range"], [3, 1, 0])
    again = prepared(tmp_path / "again", root, range=report["range"], channels=5)[0]
    assert torch.equal(splits[0][0].pixels, again[0][0].pixels)


def test_images_for_testing_have_no_say_in_the_range(tmp_path: Path) -> None:
    bands(tmp_path / "bands/train", range(10))
    bands(tmp_path / "bands/test", range(10, 20))
    before = prepared(tmp_path / "out", tmp_path / "bands")[1]["range"]
    np.save(tmp_path / "bands/test/0/10.npy", np.full((20, 20, 5), 60000, np.uint16))
    assert prepared(tmp_path / "again", tmp_path / "bands")[1]["range"] == before


@pytest.mark.parametrize(
    ("channels", "settings", "message"),
    [
        (4, {}, "0/20.npy has 4 channels, but in this set images must have 5"),
        (3, {"channels": 5}, "0/20.npy has 3 channels, but in this set images must have 5"),
        (5, {"channels": 3}, "has 5 channels, but in this set images must be in grey or in colour"),
        (5, {"encoded": "png"}, "encoded=png keeps images of 1 or 3 channels, but these have 5"),
        (5, {"range": [[0, 9]] * 4}, "dataset.range has 4 pairs, but the images have 5 channels"),
        (5, {"shown": [0, 1, 5]}, r"dataset.shown is \[0, 1, 5\], but the images have 5 channels"),
    ],
    ids=str,
)
def test_channels_that_do_not_fit_are_one_sentence(
    tmp_path: Path, channels: int, settings: dict, message: str
) -> None:
    bands(tmp_path / "bands", range(20))
    bands(tmp_path / "bands", range(20, 21), channels)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path / "out", tmp_path / "bands", **settings)


@pytest.mark.parametrize("encoded", [None, "jpeg", "png"])
def test_arrays_in_grey_or_in_colour_are_like_pictures(tmp_path: Path, encoded: str | None) -> None:
    for number in range(12):
        pixels = np.asarray(Image.open(BytesIO(picture(number))))
        np.save(tmp_path / f"{number}.npy", pixels[:, :, 0] if number % 2 else pixels)
    splits, _ = prepared(tmp_path / "out", tmp_path, encoded=encoded)
    assert splits[0][1].shape == (3, 16, 16)
