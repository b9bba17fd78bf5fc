"""Datasets are encoded as they are read, with the same pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from support.models import PARAMS
from unlabel.data import compressed, images
from unlabel.data.compressed import CompressedImages, encode
from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.stage import prepare

SPLITS = ("train", "validation", "test")


def prepared(folder: Path, **recipe: object) -> list[tuple[Images, images.Data]]:
    digits = yaml.safe_load((PARAMS / "dataset/digits.yaml").read_text())
    recipe = recipe if "_target_" in recipe else digits | recipe
    (folder / "params.yaml").write_text(yaml.safe_dump({"name": "d", "dataset": recipe}))
    paths = [folder / f"{split}.arrow" for split in SPLITS]
    prepare.run(folder / "params.yaml", folder / "raw", *paths)
    return [images.read(path) for path in paths]


def test_any_dataset_is_prepared_encoded(tmp_path: Path) -> None:
    plain = prepared(tmp_path)
    exact = prepared(tmp_path, encoded="png")
    near = prepared(tmp_path, encoded="jpeg", scale=4)
    for (images_, data), (png, same), (jpeg, other) in zip(plain, exact, near, strict=True):
        assert same == data
        assert torch.equal(png.pixels, images_.image)
        assert png.id.tolist() == jpeg.id.tolist() == images_.id.tolist()
        assert other.mean == pytest.approx(data.mean, abs=5e-3)
        large = images_.image.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert (jpeg.pixels.float() - large).abs().mean() < 4
    assert not any((tmp_path / "raw").iterdir())
    with pytest.raises(UserError, match=r"dataset.encoded is 'gif', but must be one of 'jpeg'"):
        prepared(tmp_path, encoded="gif")


def folder_of(files: dict[str, bytes], root: Path) -> dict[str, object]:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return {"_target_": "unlabel.dataset.folder.Folder", "path": str(root), "size": 64}


def test_a_folder_is_encoded_as_it_is_read_with_the_same_pixels(
    tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the right size are kept as they are, of any other are made anew; png is exact."""
    draw = np.random.default_rng(0)
    sizes = ((64, 64), (72, 80), (64, 64), (40, 40))

    def smooth(channels: int, height: int, width: int) -> np.ndarray:
        few = draw.integers(0, 256, (channels, height // 8, width // 8))
        return np.kron(few, np.ones((8, 8))).astype(np.uint8)

    files = {
        f"{kind}/{n}.jpg": encode(smooth(3, *size), "jpeg")
        for kind in "ab"
        for n, size in enumerate(sizes * 10)
    }
    grey = encode(smooth(1, 64, 64), "jpeg")
    files |= {"a/grey.jpg": grey, "a/again.jpg": grey, "b/damaged.jpg": grey[:99]}
    recipe = folder_of(files, tmp_path / "mine") | {"unreadable": 0.1}
    plain = prepared(tmp_path, **recipe)
    monkeypatch.setattr(np, "empty", None)  # there is never a place for all pixels
    found = prepared(tmp_path, **recipe, encoded="png")
    for (ours, same), (theirs, data) in zip(found, plain, strict=True):
        assert same == data
        assert isinstance(ours.image, CompressedImages)
        assert torch.equal(ours.pixels, theirs.image)
        assert torch.equal(ours.id, theirs.id)
    kept = [content for ours, _ in found for content in ours.image.file_bytes()]
    assert sum(content in files.values() for content in kept) == 42
    assert sum(content.startswith(b"\x89PNG") for content in kept) == 40
    assert not any((tmp_path / "raw").iterdir())


def test_a_file_that_is_turned_or_takes_more_than_its_pixels_is_made_anew() -> None:
    from io import BytesIO

    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 24), np.uint8)
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    turned, large = BytesIO(), BytesIO()
    image.getexif()[0x0112] = 8
    image.save(turned, "PNG", exif=image.getexif())
    image.save(large, "BMP")
    for file, size in ((turned, (3, 16, 24)), (large, (3, 16, 24))):
        shown = compressed.decode(file.getvalue(), size)
        anew = compressed.keep_or_encode(file.getvalue(), shown, "png")
        assert anew != file.getvalue()
        assert (compressed.decode(anew, size) == shown).all()
    grey = np.broadcast_to(pixels[:1], pixels.shape)
    one = compressed.keep_or_encode(large.getvalue(), grey, "png")
    assert len(one) < 0.6 * len(encode(pixels, "png"))
    assert (compressed.decode(one, pixels.shape) == grey).all()
