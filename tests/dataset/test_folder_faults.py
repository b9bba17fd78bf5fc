"""What is wrong with a folder is said: what is left out, or one sentence that refuses it."""

import shutil
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support.own_images import counts, prepared
from support.pixels import folder, picture
from unlabel.errors import UserError


def test_unreadable_images_are_listed_and_left_out(
    classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (classes / "cat/broken.jpg").write_bytes(picture(1, "JPEG")[:-50])
    (classes / "dog/empty.png").write_bytes(b"")
    (classes / "dog/dangling.png").symlink_to(classes / "nowhere.png")
    splits, report = prepared(tmp_path / "out", classes, unreadable=0.1)
    assert sum(data.size for _, data in splits) == 60
    assert set(report["unreadable"]) == {"cat/broken.jpg", "dog/empty.png", "dog/dangling.png"}
    assert report["unreadable"]["dog/empty.png"] == "it is empty"
    assert report["unreadable"]["dog/dangling.png"] == "No such file or directory"
    said = capsys.readouterr().err
    assert (
        "note: mine: 42 train, 6 validation, 12 test\nnote: mine: classes cat, dog, emu\n" in said
    )
    assert "note: mine: 3 unreadable, left out: cat/broken.jpg, dog/dangling.png, dog/em" in said
    with pytest.raises(UserError, match=r"3 of 63 images cannot be read, more than .*cat/broken"):
        prepared(tmp_path / "refused", classes)
    assert [path.name for path in (tmp_path / "refused").iterdir()] == ["params.yaml"]
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/1.png").write_bytes(b"x")
    with pytest.raises(
        UserError, match=r"none of the 1 images can be read: 1\.png .*repair or repl"
    ):
        prepared(tmp_path / "none", tmp_path / "damaged", unreadable=1)


def test_a_name_of_a_file_is_nothing_that_a_terminal_obeys(
    classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (classes / "\x1b]0;owned\x07a\nnote: mine: all is well").touch()
    prepared(tmp_path / "out", classes)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert r"left out, no image by its name: \x1b]0;owned\x07a\nnote: mine: all is well" in said[-1]
    assert all(line.isprintable() for line in said)


def test_duplicates_across_splits_are_found_and_may_be_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(
        tmp_path / "images",
        train__a=range(10), train__b=range(10, 20), val__a=range(20, 24), val__b=range(24, 28),
        test__a=range(30, 34), test__b=range(34, 38),
    )  # fmt: skip
    Image.open(root / "test/a/031.png").save(root / "train/a/saved_anew.bmp")  # the same pixels
    shutil.copy(root / "test/b/034.png", root / "val/b/copy.png")
    shutil.copy(root / "test/b/034.png", root / "train/b/copy.png")
    shutil.copy(root / "train/b/010.png", root / "train/b/again.png")
    splits, report = prepared(tmp_path / "kept", root)
    assert report["duplicates"] == {
        "across splits": [
            {"train": ["train/a/saved_anew.bmp"], "test": ["test/a/031.png"]},
            {"train": ["train/b/copy.png"], "validation": ["val/b/copy.png"],
             "test": ["test/b/034.png"]},
        ],
        "within splits": {"train": 1, "validation": 0, "test": 0},
    }  # fmt: skip
    assert [data.size for _, data in splits] == [23, 9, 8]
    said = capsys.readouterr().err
    assert "7 of 40 have the same pixels as another, 5 of them as an image of another split" in said
    splits, report = prepared(tmp_path / "dropped", root, duplicates="drop")
    assert [data.size for _, data in splits] == [21, 8, 8]
    dropped = ["train/a/saved_anew.bmp", "train/b/copy.png", "val/b/copy.png"]
    assert report["duplicates"]["dropped"] == dropped


def test_files_that_are_left_out_are_counted(
    classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder(tmp_path / "other", bird=range(60, 80))
    (classes / "bird").symlink_to(other / "bird")
    for path in (other / "bird").iterdir():
        shutil.copy(path, classes / "cat" / f"{path.stem}.jfif")
    for number in range(12):
        (classes / f"cat/{number}.txt").write_text("a cat")
    splits, report = prepared(tmp_path / "out", classes)
    assert sum(data.size for _, data in splits) == 80
    assert splits[0][1].classes == ("cat", "dog", "emu")
    link = "a link to a folder (links=true follows it)"
    assert report["skipped"][link] == {"files": 1, "first": ["bird"]}
    assert report["skipped"]["no image by its name"]["files"] == 12
    assert len(report["skipped"]["no image by its name"]["first"]) == 10
    said = capsys.readouterr().err
    assert f"1 left out, {link}: bird" in said
    assert "12 left out, no image by its name: cat/0.txt, " in said
    splits, report = prepared(tmp_path / "out", classes, links=True)
    assert sum(data.size for _, data in splits) == 100
    assert splits[0][1].classes == ("bird", "cat", "dog", "emu")
    assert link not in report["skipped"]


def test_what_was_understood_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(
        tmp_path / "images", train__cat=range(9), train__dog=range(9, 18), test__cat=range(20, 23),
        test__dog=range(23, 26), unlabeled=range(30, 90),
    )  # fmt: skip
    splits, report = prepared(tmp_path / "out", root)
    assert report["summary"][0] == "classes cat, dog; splits train, test; unlabelled 60"
    assert "classes cat, dog; splits train, test; unlabelled 60" in capsys.readouterr().err
    assert counts(splits)[0][0] == 60


def test_images_of_a_single_colour_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path, _=range(9))
    for number in range(30, 34):
        Image.new("RGB", (20, 20), (number, 0, 9)).save(tmp_path / f"{number}.png")
    report = prepared(tmp_path / "out", tmp_path)[1]
    assert report["one colour"] == ["30.png", "31.png", "32.png", "33.png"]
    assert "4 of 13 have a single colour: 30.png, 31.png, 32.png, ..." in capsys.readouterr().err


def test_copies_are_counted_as_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/new.png").write_bytes(picture(1))
    for number in range(30):  # other bytes, the same pixels
        about = PngInfo()
        about.add_text("number", str(number))
        Image.open(BytesIO(picture(0))).save(tmp_path / f"a/{number}.png", pnginfo=about)
    prepared(tmp_path / "out", tmp_path, labels=False)
    said = capsys.readouterr().err
    assert "30 of 31 have the same pixels as another, 30 of them as an image of another" in said


def test_names_of_classes_may_look_like_numbers(tmp_path: Path) -> None:
    root = folder(tmp_path, **{"--1": range(9), "-2": range(9, 18), "1": range(18, 27)})
    assert prepared(tmp_path / "out", root)[0][0][1].classes == ("--1", "-2", "1")


def test_more_images_than_memory_holds_is_one_sentence(classes: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"60 images .* need 16739\.7 GiB .*; set encoded=jpeg"):
        prepared(tmp_path / "out", classes, size=316_000)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"__": range(0)}, "has no images that can be read .it is empty.; their names must end"),
        ({"a": range(2), "b": range(2, 9)}, "the class 'a' has 2 different images, but 3 are"),
        ({"_": range(2)}, "there are 2 different images, but 3 are needed"),
        ({"a": range(2), "b": range(2, 4), "c": range(4, 5), "d": range(5, 20)},
         r"3 classes have too few different images \('a' 2, 'b' 2, 'c' 1\), but 3 are needed"),
        ({"train__a": range(5), "train__b": range(5, 10), "test__c": range(2)},
         "has images of the class 'c' in test, but none in train"),
        ({"train__a": range(5), "train__b": range(5, 10), "test": range(2)},
         "has labels in train, but none in test"),
        ({"train": range(5), "test": range(5), "other": range(2)},
         r"either its folders are splits \(test, train\), and other is out of place"),
        ({"val": range(5), "test": range(5)}, r"splits \(test, val\), and the one to train"),
    ],
    ids=["empty", "few", "very few", "several", "new", "no labels", "also a class", "no train"],
)  # fmt: skip
def test_bad_folders_are_one_sentence(
    tmp_path: Path, folders: dict[str, range], message: str
) -> None:
    root = folder(tmp_path / "images", **folders)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path / "out", root)
    assert not list((tmp_path / "out").glob("*.arrow"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "/no/such/place"}, "/no/such/place does not exist"),
        ({"path": None}, "the dataset has no path; say where"),
        ({"size": 0}, r"dataset\.size is 0, but must be a whole number of at least 1"),
        (
            {"size": [8]},
            r"dataset\.size is \[8\], but must be a whole number of at least 1 or a list",
        ),
        ({"fit": "stretch"}, "must be one of 'crop', 'squeeze', 'pad'"),
        ({"range": [5, 5]}, r"dataset\.range is \[5, 5\], but must be the value of black"),
        ({"channels": 0}, "dataset.channels is 0, but must be one of 'auto' or a whole number"),
        ({"range": [[0, 9], [5, 5]]}, r"\[\[0, 9\], \[5, 5\]\], but must be the value of black"),
        ({"range": [[0, 9], [0, 5]]}, "a pair for each channel, but images in grey or in colour"),
        ({"shown": [0, 1, 2]}, "dataset.shown is for images that are neither grey nor in colour"),
        ({"channels": 4}, "has 3 channels, but in this set images must have 4"),
        ({"test": 1.5}, "dataset.test is 1.5, but must be"),
        ({"unreadable": 2}, "dataset.unreadable is 2, but must be a number from 0 to 1"),
    ],
)
def test_wrong_settings_are_one_sentence(
    classes: Path, tmp_path: Path, settings: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        prepared(tmp_path / "out", classes, **settings)
