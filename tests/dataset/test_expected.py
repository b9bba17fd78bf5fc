"""What is known of a dataset before its images are loaded is so afterwards."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.models import PARAMS
from support.pixels import folder, picture
from unlabel.data.expected import remarks
from unlabel.dataset.altered import Altered
from unlabel.dataset.folder import Folder
from unlabel.dataset.table import Table
from unlabel.errors import UserError
from unlabel.params import compose
from unlabel.params.settings import build

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize(
    "classes",
    [
        {"cat": range(9), "dog": range(9, 40)},
        {"train__cat": range(9), "train__dog": range(9, 40), "test__dog": range(40, 41)},
        {"_": range(31)},
        {"cat": range(9), "dog": range(9, 20), "unlabeled": range(20, 50)},
    ],
    ids=str,
)
def test_the_images_of_a_folder_are_counted(tmp_path: Path, classes: dict) -> None:
    dataset = Folder(path=str(folder(tmp_path / "set", **classes)), size=(8, 6))
    expected, raw = dataset.expected(), dataset.load(tmp_path)
    found = (raw.train, raw.validation, raw.test)
    assert expected.images == {k: len(v.id) for k, v in zip(SPLITS, found, strict=True) if v}
    assert expected.size == tuple(raw.train.image.shape[2:]) == (8, 6)
    assert expected.labelled == bool(raw.classes)


@pytest.mark.parametrize("settings", [{}, {"split": None}, {"split": None, "label": None}], ids=str)
def test_the_rows_of_a_table_are_counted_without_reading_images(
    tmp_path: Path, settings: dict
) -> None:
    rows = [
        {"image": picture(at), "label": "ab"[at % 2], "split": "test" if at < 5 else "train"}
        for at in range(30)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    table = Table(path=str(tmp_path / "t.parquet"), size=8, **settings)
    expected, raw = table.expected(), table.load(tmp_path)
    found = (raw.train, raw.validation, raw.test)
    assert expected.images == {k: len(v.id) for k, v in zip(SPLITS, found, strict=True) if v}
    assert expected.labelled == bool(raw.classes)


def test_a_single_image_to_measure_on_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", train__a=range(9), train__b=range(9, 18), test__a=range(20, 21))
    folder(root, val__b=range(21, 22))
    images = Folder(path=str(root)).expected().images
    said = list(remarks(images or {}))
    assert [each.split(":")[0] for each in said] == ["1 validation image", "1 test image"]
    (root / "val/a").mkdir()
    (root / "val/a/22.png").write_bytes(picture(22))
    assert len(list(remarks(Folder(path=str(root)).expected().images or {}))) == 1


def test_what_cannot_be_split_is_refused_before_it_is_read(tmp_path: Path) -> None:
    few = Folder(path=str(folder(tmp_path / "few", cat=range(9), dog=range(9, 11))))
    with pytest.raises(UserError, match="the class 'dog' has 2 different images, but 3 are needed"):
        few.expected()
    lone = folder(tmp_path / "lone", train__cat=range(9), train__dog=range(9), test__emu=range(2))
    with pytest.raises(UserError, match="the dataset has images of the class 'emu' in test, but"):
        Folder(path=str(lone)).expected()
    wide = Folder(path=str(folder(tmp_path / "wide", cat=range(9), dog=range(9))), size=(8, 6))
    with pytest.raises(UserError, match="images of 8 x 6 pixels cannot be rotated"):
        Altered(of=wide).expected()


def test_every_recipe_knows_the_size_of_its_images() -> None:
    sizes = {}
    for name in compose.names(PARAMS, "dataset"):
        dataset = build(compose.recipe(PARAMS, name), "dataset")
        sizes[name] = dataset.image_size()
    assert sizes == {
        "cifar10": (32, 32),
        "cifar100": (32, 32),
        "cifar10_altered": (32, 32),
        "digits": (16, 16),
        "fashion_mnist": (28, 28),
        "fashion_mnist_rotated": (28, 28),
        "folder": (32, 32),
        "huggingface": (32, 32),
        "imagenette": (160, 160),
        "kmnist": (28, 28),
        "mnist": (28, 28),
        "oxford_pet": (64, 64),
        "shapes": (32, 32),
        "shapes_hue_position": (32, 32),
        "stl10": (96, 96),
        "svhn": (32, 32),
        "table": (32, 32),
        "tiny_imagenet": (64, 64),
        "webdataset": (32, 32),
    }
