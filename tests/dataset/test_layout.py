"""Folders as people bring them are understood, or refused with both readings."""

from pathlib import Path

import pytest

from support.pixels import folder, picture
from unlabel.dataset._layout import meaning
from unlabel.dataset.folder import Folder
from unlabel.errors import UserError

Placed = dict[str, tuple[str, str | None]]


def layout(root: Path, **settings: object) -> Placed:
    """The split and the label of each image."""
    examples = Folder(path=str(root), **settings).examples()  # type: ignore[arg-type]
    return {each.name: (each.split, each.label) for each in examples}


def groups(root: Path, **settings: object) -> set[tuple[str, str | None]]:
    return set(layout(root, **settings).values())


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training_Set", "train"),
        ("train2017", "train"),
        ("trainset", "train"),
        ("val", "validation"),
        ("valid", "validation"),
        ("validation-images", "validation"),
        ("dev", "validation"),
        ("train_val", "train"),
        ("testing", "test"),
        ("test_set", "test"),
        ("testdata", "test"),
        ("unlabeled", "unlabelled"),
        ("Unlabelled images", "unlabelled"),
        ("no_labels", "unlabelled"),
        ("dataset", None),
        ("trainer", None),
        ("contest", None),
        ("valley", None),
        ("2017", None),
    ],
)
def test_the_usual_names_of_splits(name: str, split: str | None) -> None:
    assert meaning(name) == split


def test_unlabelled_images_beside_splits(tmp_path: Path) -> None:
    root = folder(tmp_path, train__cat=range(2), train__dog=range(2, 4), unlabeled=range(4, 8))
    assert groups(root) == {("train", "cat"), ("train", "dog"), ("train", None)}
    assert layout(root)["unlabeled/004.png"] == ("train", None)


def test_unlabelled_images_beside_classes(tmp_path: Path) -> None:
    root = folder(tmp_path, cat=range(2), dog=range(2, 4), unlabelled=range(4, 6))
    assert groups(root) == {("", "cat"), ("", "dog"), ("", None)}
    assert ("", "unlabelled") in groups(root, splits=False)


def test_splits_called_sets_and_those_packed_twice(tmp_path: Path) -> None:
    two = {"training_set__cat": range(2), "test_set__cat": range(2, 4)}
    assert groups(folder(tmp_path / "once", **two)) == {("train", "cat"), ("test", "cat")}
    again = {f"{name.split('__')[0]}__{name}": numbers for name, numbers in two.items()}
    assert groups(folder(tmp_path / "twice", **again)) == {("train", "cat"), ("test", "cat")}


def test_images_beside_splits_are_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, train__cat=range(2), train__dog=range(2, 4))
    (root / "logo.png").write_bytes(picture(9))
    assert groups(root) == {("train", "cat"), ("train", "dog")}
    assert Folder(path=str(root)).listing().skipped == {
        "beside the folders of splits": ["logo.png"]
    }


def test_lone_folders_around_all_others_are_seen_through(tmp_path: Path) -> None:
    root = folder(tmp_path / "a", images__train__cat=range(2), images__test__cat=range(2, 4))
    assert groups(root) == {("train", "cat"), ("test", "cat")}
    assert Folder(path=str(root)).listing().remarks == ["all inside images/"]
    assert "images/train/cat/000.png" in layout(root)  # a name is a path, as before
    root = folder(tmp_path / "b", my__photos__cat=range(2), my__photos__dog=range(2, 4))
    assert groups(root) == {("", "cat"), ("", "dog")}
    root = folder(tmp_path / "c", photos=range(3))  # the class itself
    assert groups(root) == {("", "photos")}
    root = folder(tmp_path / "d", train__images__cat=range(2), test__images__cat=range(2, 4))
    assert groups(root) == {("train", "cat"), ("test", "cat")}
    root = folder(
        tmp_path / "e", train__cat__x=range(2), train__dog=range(2), test__cat__x=range(2)
    )
    assert groups(root) == {("train", "cat"), ("train", "dog"), ("test", "cat")}


def test_annotations_are_no_class(tmp_path: Path) -> None:
    root = folder(tmp_path, images__train=range(2), images__val=range(2, 4))
    (root / "labels/train").mkdir(parents=True)
    (root / "labels/train/000.txt").write_text("0 0.5 0.5 1 1")
    assert groups(root) == {("train", None), ("validation", None)}


@pytest.mark.parametrize(
    ("folders", "first", "second", "mend"),
    [
        ({"test__cat": range(2)}, r"splits \(test\)", "names mean nothing", "path=.*/test"),
        ({"valid": range(2), "invalid": range(2)}, r"splits \(valid\), and invalid is out of place",
         "all of them are classes", "splits=false"),
        ({"train__cat": range(2), "other__cat": range(2)}, r"splits \(train\), and other",
         "all of them are classes", "Move other elsewhere"),
        ({f"{c}__{s}": range(2) for c in ("cat", "dog") for s in ("train", "test")},
         "dog/test and dog/train are splits inside of classes", "mean nothing", "train/CLASS"),
        ({"2023": range(2), "2024": range(2)}, "folders 2023, 2024 are classes", "are dates",
         "labels=false"),
        ({"train__2023-01": range(2), "train__2023-02": range(2)}, "2023-01, 2023-02 are classes",
         "are dates", "labels=true"),
    ],
    ids=["test alone", "a word", "beside", "below", "years", "months"],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, folders: dict[str, range], first: str, second: str, mend: str
) -> None:
    root = folder(tmp_path / "images", **folders)
    with pytest.raises(UserError, match=f"can be read in two ways: .*{first}.*{second}.*{mend}"):
        layout(root)


def test_settings_choose_a_reading(tmp_path: Path) -> None:
    valid = folder(tmp_path / "valid", valid=range(2), invalid=range(2))
    assert groups(valid, splits=False) == {("", "valid"), ("", "invalid")}
    dates = folder(tmp_path / "dates", **{"2023": range(2), "2024": range(2)})
    assert groups(dates, labels=True) == {("", "2023"), ("", "2024")}
    assert groups(dates, labels=False) == {("", None)}
    both = folder(tmp_path / "both", train__cat=range(2), test__cat=range(2))
    assert groups(both, labels=False) == {("train", None), ("test", None)}
    assert groups(both, splits=False) == {("", "train"), ("", "test")}


def test_a_plan_knows_whether_there_are_labels(tmp_path: Path) -> None:
    root = folder(tmp_path, train__cat=range(2), train__dog=range(2), unlabeled=range(3))
    assert Folder(path=str(root)).labelled()
    assert not Folder(path=str(root), labels=False).labelled()
