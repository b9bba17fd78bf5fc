"""What folders of one's own images mean, and how they are split."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from support.own_images import SPLITS, counts, prepared
from support.pixels import folder, picture
from unlabel.data.source_state import fingerprint
from unlabel.dataset._collection import Collection
from unlabel.dataset.folder import Folder


def names(dataset: Collection) -> dict[str, tuple[str, str | None]]:
    return {each.name: (each.split, each.label) for each in dataset.examples()}


def test_folders_are_classes(classes: Path) -> None:
    (classes / "dog/more/deep").mkdir(parents=True)
    (classes / "dog/more/deep/1.jpg").write_bytes(picture(99, "JPEG"))
    (classes / "README.txt").write_text("not an image")
    found = names(Folder(path=str(classes)))
    assert len(found) == 61
    assert found["cat/003.png"] == ("", "cat")
    assert found["dog/more/deep/1.jpg"] == ("", "dog")


@pytest.mark.parametrize("called", ["val", "valid", "Validation"])
def test_folders_are_splits(tmp_path: Path, called: str) -> None:
    root = folder(tmp_path / "images", train__cat=range(3), test__cat=range(3, 5))
    folder(root / called, cat=range(5, 6))
    assert {split for split, _ in names(Folder(path=str(root))).values()} == set(SPLITS)
    assert {label for _, label in names(Folder(path=str(root))).values()} == {"cat"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", bus=range(2), train=range(2, 4))
    assert {label for _, label in names(Folder(path=str(root))).values()} == {"bus", "train"}


def test_what_is_in_no_folder_of_a_class_is_unlabelled(classes: Path) -> None:
    folder(classes, _=range(60, 80))
    splits, report = prepared(classes.parent / "out", classes)
    assert counts(splits) == [[20, 14, 14, 14], [0, 2, 2, 2], [0, 4, 4, 4]]
    assert report["splits"]["train"]["unlabelled"] == 20
    assert report["labelled"]


def test_splits_are_the_users_where_given(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "images",
        train__a=range(10), train__b=range(10, 20), val__a=range(20, 22), val__b=range(22, 24),
        test__a=range(24, 27), test__b=range(27, 30),
    )  # fmt: skip
    splits, _ = prepared(tmp_path / "out", root)
    assert counts(splits) == [[0, 10, 10], [0, 2, 2], [0, 3, 3]]
    shutil.rmtree(root / "test")
    assert counts(prepared(tmp_path / "out", root)[0]) == [[0, 8, 8], [0, 2, 2], [0, 2, 2]]
    shutil.rmtree(root / "val")
    assert counts(prepared(tmp_path / "out", root)[0]) == [[0, 7, 7], [0, 1, 1], [0, 2, 2]]


def test_what_is_held_out_depends_on_the_content_alone(classes: Path, tmp_path: Path) -> None:
    (first, _) = prepared(tmp_path / "first", classes)
    (again, _) = prepared(tmp_path / "again", classes)
    for split in SPLITS:
        same = [(tmp_path / run / f"{split}.arrow").read_bytes() for run in ("first", "again")]
        assert same[0] == same[1]
    for path in sorted(classes.rglob("*.png")):
        path.rename(path.with_name(f"renamed {path.name}"))
    (renamed, _) = prepared(tmp_path / "renamed", classes, seed=1)
    test = [{x.numpy().tobytes() for x in each[2][0].image} for each in (first, again, renamed)]
    assert test[0] == test[1] == test[2]
    validation = [{x.numpy().tobytes() for x in each[1][0].image} for each in (first, renamed)]
    assert validation[0] != validation[1]  # depends on the seed


def test_the_first_images_are_not_all_of_one_class(classes: Path, tmp_path: Path) -> None:
    train = prepared(tmp_path / "out", classes)[0][0][0]
    assert len(train.label[:12].unique()) == 3


def test_copies_are_held_out_together(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", a=range(12), b=range(12, 24))
    for name in ("a", "b"):
        for path in sorted((root / name).iterdir()):
            shutil.copy(path, path.with_stem(f"{path.stem} copy"))
    _, report = prepared(tmp_path / "out", root, test=0.3, validation=0.3)
    assert report["duplicates"]["across splits"] == []
    assert sum(report["duplicates"]["within splits"].values()) == 24


@pytest.mark.parametrize(("channels", "expected"), [("auto", 1), (1, 1), (3, 3)])
def test_grey_images_have_one_channel_unless_told(
    tmp_path: Path, channels: object, expected: int
) -> None:
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(picture(number, grey=True))
    splits, _ = prepared(tmp_path / "out", tmp_path, channels=channels)
    assert splits[0][1].shape == (expected, 16, 16)
    (tmp_path / "colour.png").write_bytes(picture(9))
    splits, _ = prepared(tmp_path / "out", tmp_path, channels=channels)
    assert splits[0][1].shape == (3 if channels == "auto" else expected, 16, 16)


def test_images_of_any_size_get_the_one_asked_for(classes: Path, tmp_path: Path) -> None:
    Image.new("CMYK", (300, 40)).save(classes / "cat/wide.jpg")
    for size, shape in ((24, (3, 24, 24)), ([10, 30], (3, 10, 30))):
        assert prepared(tmp_path / "out", classes, size=size, fit="pad")[0][0][1].shape == shape


def test_unlabelled_images_are_split(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", _=range(50))
    splits, report = prepared(tmp_path / "out", root)
    assert counts(splits) == [[36], [4], [10]]
    assert not Folder(path=str(root)).labelled()
    assert not report["labelled"]
    assert splits[0][1].classes == ()


def test_one_class_tells_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "images", photos=range(20))
    splits, _ = prepared(tmp_path / "out", root)
    assert "all have the class 'photos', which tells nothing: taken as unlabelled" in (
        capsys.readouterr().err
    )
    assert all((split.label == -1).all() for split, _ in splits)
    assert not Folder(path=str(root)).labelled()


def test_ids_are_whole_and_unique(classes: Path) -> None:
    raw = Folder(path=str(classes), size=4).load(Path())
    ids = torch.cat([each.id for each in (raw.train, raw.validation, raw.test) if each])
    assert ids.dtype == torch.int64
    assert len(ids.unique()) == 60
    assert (ids >= 0).all()


def test_a_fingerprint_is_of_names_sizes_and_times(classes: Path) -> None:
    recipe = {"path": str(classes)}
    first = fingerprint(recipe)
    assert fingerprint(recipe) == first
    for name in (".DS_Store", "notes.txt", "cat/notes.txt"):
        (classes / name).write_bytes(b"")
    assert fingerprint(recipe) == first
    path = classes / "cat/001.png"
    path.rename(classes / "dog/001.png")
    moved = fingerprint(recipe)
    assert moved != first
    (classes / "dog/001.png").write_bytes(picture(1))
    assert fingerprint(recipe) != moved
