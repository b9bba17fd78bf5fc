"""Encoded images answer as a tensor does, and damage is seen."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from support.encoded import kept
from support.models import about
from unlabel.data import compressed, images
from unlabel.data.compressed import CompressedImages, encode
from unlabel.data.images import Images
from unlabel.dataset import moments
from unlabel.errors import UserError


def test_encoded_images_answer_as_a_tensor_does(digits: Images, png: Images) -> None:
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))[:99]
    for index in (slice(3, 130), slice(490, None), order, digits.label == 3, order[:0]):
        some = png.take(index)
        assert isinstance(some.image, CompressedImages)
        assert torch.equal(some.pixels, digits.image[index])
        assert torch.equal(some.label, digits.label[index])
        assert some.image.shape == digits.image[index].shape
        assert some.image.nbytes == digits.image[index].nbytes
        assert len(some.image) == len(some.id)
        assert torch.equal(some.take(slice(2, 5)).pixels, digits.image[index][2:5])
    assert png.image.device == digits.image.device
    assert moments(png.image) == moments(digits.image)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_nearly_and_png_exactly_what_was_encoded(channels: int) -> None:
    draw = np.random.default_rng(0)
    smooth = np.kron(draw.integers(0, 256, (channels, 5, 4)), np.ones((1, 6, 6))).astype(np.uint8)
    assert (compressed.decode(encode(smooth, "png"), smooth.shape) == smooth).all()
    near = compressed.decode(encode(smooth, "jpeg"), smooth.shape)
    assert 0 < np.abs(near.astype(int) - smooth).mean() < 2


def test_of_all_images_nothing_is_copied(digits: Images, png: Images) -> None:
    for every in (digits, png):
        assert every.take(torch.arange(500)) is every
        assert every.take(every.label >= 0) is every
        assert every.take(every.label >= 0).image is every.image
        assert len(every.take(torch.arange(499)).id) == 499
    turned = digits.take(torch.arange(500).flip(0))
    assert torch.equal(turned.image, digits.image.flip(0))


def test_a_file_holds_the_bytes_in_blocks(digits: Images, png: Images, tmp_path: Path) -> None:
    factor = torch.stack([digits.label % 2, torch.where(digits.id % 5 == 0, -1, 1)], 1)
    data = about(digits)
    data = type(data)(**vars(data) | {"factors": {"parity": ("0", "1"), "tilt": ("a", "b")}})
    label = digits.label.where(digits.id % 7 > 0, -1)
    path = tmp_path / "train.arrow"
    images.write(path, png._replace(label=label, factor=factor), data)
    found, described = images.read(path)
    assert described == data
    assert isinstance(found.image, CompressedImages)
    assert found.image.file_bytes() == png.image.file_bytes()
    assert torch.equal(found.pixels, digits.image)
    for ours, theirs in ((found.id, digits.id), (found.label, label), (found.factor, factor)):
        assert torch.equal(ours, theirs)
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    assert [len(file.get_batch(n)) for n in range(file.num_record_batches)] == [64] * 7 + [52]
    images.write(tmp_path / "none.arrow", png.take(slice(0)), about(digits))
    assert images.read(tmp_path / "none.arrow")[0].image.shape == (0, 1, 16, 16)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(png: Images, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "train.arrow"
    images.write(path, png, about(png))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(UserError, match=r"train\.arrow is not a whole prepared dataset"):
        images.read(path)


def test_pixels_may_be_more_than_two_gib(tmp_path: Path) -> None:
    side = 27_000
    pixels = torch.zeros(3, 1, side, side, dtype=torch.uint8)
    pixels[2, 0, -1, -1] = 7
    several = Images.of(torch.arange(3), pixels, torch.zeros(3).long())
    path = tmp_path / "large.arrow"
    images.write(path, several, about(several))
    found, _ = images.read(path)
    path.unlink()  # pytest keeps the folders of its last runs
    assert found.image.shape == pixels.shape
    assert found.image[2, 0, -1, -1] == 7


def test_offsets_that_lead_out_of_the_file_are_refused(png: Images, tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    images.write(path, png, about(png))
    content = bytearray(path.read_bytes())
    lengths = np.cumsum([0, *map(len, png.image.file_bytes()[:64])]).astype(np.int32)
    place = content.index(lengths.tobytes())
    content[place + 4 : place + 8] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train\.arrow is not a whole prepared dataset"):
        images.read(path)


def test_no_bit_of_a_jpeg_file_changes_unseen(digits: Images, tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    one = digits.take(slice(7, 8))
    images.write(path, kept(one, tmp_path, "jpeg"), about(one))
    whole, (jpeg,) = path.read_bytes(), images.read(path)[0].image.file_bytes()
    for place in range(len(jpeg)):
        content = bytearray(whole)
        content[whole.index(jpeg) + place] ^= 1 << place % 8
        path.write_bytes(content)
        found, _ = images.read(path)
        for read in (found.image.file_bytes, found.decoded):
            with pytest.raises(UserError, match=r"image 7 of .* is damaged \(its checksum"):
                read()
