"""Folders of one's own images become datasets, or one sentence says why not."""

import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from snakemake.cli import parse_config

from support import project
from support.models import PARAMS
from support.pixels import folder, picture
from unlabel.data import images
from unlabel.data.images import Data, Images
from unlabel.data.source_state import fingerprint
from unlabel.dataset._collection import Collection
from unlabel.dataset.folder import Folder
from unlabel.errors import UserError
from unlabel.params import command_line, compose
from unlabel.params.settings import check
from unlabel.stage import prepare
from unlabel.workflow import run_states
from unlabel.workflow.plan import Plan

RECIPE = PARAMS / "dataset/folder.yaml"
SPLITS = ("train", "validation", "test")


def prepared(out: Path, root: Path, **settings: object) -> tuple[list[tuple[Images, Data]], dict]:
    """The three splits, and the report."""
    recipe = yaml.safe_load(RECIPE.read_text()) | {"path": str(root), "size": 16, **settings}
    out.mkdir(exist_ok=True)
    (out / "params.yaml").write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    paths = [out / f"{split}.arrow" for split in SPLITS]
    prepare.run(out / "params.yaml", Path(), *paths, out / "report.json")
    return [images.read(path) for path in paths], json.loads((out / "report.json").read_text())


def counts(splits: list[tuple[Images, Data]]) -> list[list[int]]:
    return [split.label.add(1).bincount(minlength=1).tolist() for split, _ in splits]


def names(dataset: Collection) -> dict[str, tuple[str, str | None]]:
    return {each.name: (each.split, each.label) for each in dataset.examples()}


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    return folder(tmp_path / "classes", cat=range(20), dog=range(20, 40), emu=range(40, 60))


# A labelled set beside an unlabelled one


def test_a_labelled_set_is_measured_on_and_never_trained_on_twice(
    classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 26 images, and 4 that are also in the labelled set, of which two are the same
    every = folder(tmp_path / "all", train=range(100, 120), test=range(120, 126))
    again = {"train/a.png": "cat/000.png", "train/b.png": "cat/000.png", "d.png": "emu/059.png"}
    for name, source in (again | {"test/c.png": "dog/025.png"}).items():
        shutil.copy(classes / source, every / name)
    splits, report = prepared(tmp_path / "out", every, probe_path=str(classes), size=12)
    alone, _ = prepared(tmp_path / "alone", classes, size=12)
    # the splits of the labelled set, and 26 unlabelled images to train on
    (train, *others) = counts(alone)
    assert counts(splits) == [[26, *train[1:]], *others]
    assert splits[0][1].classes == ("cat", "dog", "emu")
    assert {split.image.shape[1:] for split, _ in splits} == {(3, 12, 12)}

    def shown(*parts: Images) -> set[bytes]:
        return {each.numpy().tobytes() for part in parts for each in part.image}

    assert len(shown(*(split for split, _ in splits))) == 26 + 60
    labelled = [split.take(split.label >= 0) for split, _ in splits]
    assert shown(*labelled) == shown(*(split for split, _ in alone))
    said = "4 left out, also in probe_path: d.png, test/c.png, train/a.png"
    assert said in capsys.readouterr().err
    copies = report["duplicates"]["in probe_path"]
    assert copies == ["d.png", "test/c.png", "train/a.png", "train/b.png"]
    assert Folder(path=str(every), probe_path=str(classes)).labelled()


def test_a_labelled_set_inside_the_other_is_left_out_of_it(tmp_path: Path) -> None:
    root = folder(tmp_path / "all", unsorted=range(40))
    folder(root / "labelled", cat=range(50, 62), dog=range(62, 74))
    splits, report = prepared(tmp_path / "out", root, probe_path=str(root / "labelled"))
    assert sum(len(split.id) for split, _ in splits) == 40 + 24
    assert counts(splits)[0][0] == 40
    assert len(report["duplicates"]["in probe_path"]) == 24


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("nowhere", "nowhere does not exist; say where your labelled images are, as in probe_path"),
        (
            "classes/cat",
            "classes/cat has no two classes, but probe_path is the labelled set; label",
        ),
    ],
)
def test_a_set_without_labels_cannot_be_measured_on(
    classes: Path, tmp_path: Path, probe: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        prepared(tmp_path / "out", classes, probe_path=str(tmp_path / probe))


def test_the_files_of_the_labelled_set_count_too(classes: Path, tmp_path: Path) -> None:
    probe = folder(tmp_path / "probe", cat=range(5))
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe |= {"path": str(classes), "probe_path": str(probe)}
    before = fingerprint(recipe)
    (probe / "cat/000.png").unlink()
    assert fingerprint(recipe) != before


# What folders mean


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


# Splits


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


# Images


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


# What is wrong with images


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


def test_the_first_images_need_not_be_the_deep_ones(tmp_path: Path) -> None:
    folder(tmp_path, _=range(9))
    for number, top in ((11, 1000), (12, 3000)):
        pixels = np.linspace(0, top, 256).reshape(16, 16).astype(np.uint16)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    assert prepared(tmp_path / "out", tmp_path)[1]["range"] == [0, 3000]


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
        ({"channels": 2}, "dataset.channels is 2, but must be one of 'auto', 1, 3"),
        ({"test": 1.5}, "dataset.test is 1.5, but must be"),
        ({"unreadable": 2}, "dataset.unreadable is 2, but must be a number from 0 to 1"),
    ],
)
def test_wrong_settings_are_one_sentence(
    classes: Path, tmp_path: Path, settings: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        prepared(tmp_path / "out", classes, **settings)


# In the workflow


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


def test_unlabelled_images_go_through_the_whole_workflow(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", _=range(110))
    study = project.STUDY | {"methods": ["random", "supervised", "rotation"]}
    work = project.project(tmp_path / "work", study)
    asked = ("--config", "dataset=folder", f"path={root}", "size=16")
    said = project.snakemake(work, "--cores", "1", "reports/index.html", *asked)
    assert "folder has no labels: left out supervised" in said
    metrics = work / "reports/metrics/folder"
    assert {path.name for path in metrics.iterdir()} == {"random.json", "rotation.json"}
    measures = json.loads((metrics / "rotation.json").read_text())
    assert {"effective_rank", "alignment", "uniformity"} <= set(measures)
    assert not {"linear", "knn"} & set(measures)
    page = (work / "reports/index.html").read_text()
    assert "has the highest effective rank of all methods without labels" in page
    assert "Without labels, accuracy cannot be measured" in page
    assert "Left out: supervised. The reason: it learns from labels, and folder has none." in page

    def again(*arguments: str) -> str:
        return project.snakemake(work, "-n", "reports/index.html", *arguments)

    assert "Nothing to be done" in again(*asked)
    (root / "000.png").touch()
    (root / "notes.txt").write_text("on these images")
    assert "Nothing to be done" in again(*asked)
    (root / "new.png").write_bytes(picture(200))
    assert "1 prepare   the files it is made from changed (folder)" in again(*asked)
    root.rename(tmp_path / "elsewhere")  # as on another machine: what was prepared counts
    (tmp_path / "elsewhere/new.png").unlink()
    assert "Nothing to be done" in again(*asked)
    elsewhere = [each.replace(str(root), f"{root}s") for each in asked]
    command = ("-n", "reports/index.html", *elsewhere)
    assert "imagess does not exist" in project.snakemake(work, *command, fails=True)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"dataset": "folder"}, "the dataset 'folder' has no path; say where your images are"),
        ({"dataset": "foldr", "path": "x"}, "unknown dataset 'foldr': did you mean 'folder'?"),
        ({"dataset": "folder", "sise": 16}, "neither the workflow's nor folder's; did you mean"),
        ({"path": "x"}, r"--config path=\.\.\. is not the workflow's"),
        ({"dataset": "folder", "path": "/no/where"}, "/no/where does not exist; say where"),
        ({"dataset": "folder", "path": "/", "size": "big"}, "dataset.size is 'big', but must be"),
    ],
)  # fmt: skip
def test_mistakes_are_known_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if config.get("path") == "/":
        config = config | {"path": str(folder(tmp_path / "images", _=range(9)))}
    with pytest.raises(UserError, match=said):
        Plan(PARAMS, tmp_path / "frozen", command_line.asked(config, PARAMS)).dataset("folder")
    assert not (tmp_path / "data").exists()


def test_a_dataset_that_alters_ones_own_images_is_looked_at_too(
    tmp_path: Path, classes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = shutil.copytree(PARAMS, tmp_path / "params")
    of = {"_target_": "unlabel.dataset.folder.Folder", "path": str(classes)}
    recipe = {"_target_": "unlabel.dataset.altered.Altered", "of": of}
    (params / "dataset/mine.yaml").write_text(yaml.safe_dump(recipe))
    plans = [Plan(params, tmp_path / "frozen").dataset("mine")]
    (classes / "cat/more.png").write_bytes(picture(100))
    plans.append(Plan(params, tmp_path / "frozen").dataset("mine"))
    assert plans[0]["settings"] != plans[1]["settings"]
    shutil.rmtree(classes)
    with pytest.raises(UserError, match="classes does not exist; say where .* dataset=mine path="):
        Plan(params, tmp_path / "frozen").dataset("mine")


def test_a_path_that_the_shell_made_several_of_is_refused() -> None:
    config = {"dataset": "webdataset", "path": "1.tar"}
    with pytest.raises(UserError, match="--config path=... is there 2 times; .* braces"):
        command_line.asked(config, PARAMS, ["--config", "path=0.tar", "path=1.tar"])


def test_values_on_the_command_line_are_as_in_a_recipe() -> None:
    config = {"dataset": "table", "path": 2024, "label": "null", "size": ["8", "12"], "test": 0.3}
    changes = command_line.asked({"study": "smoke", **config}, PARAMS).changes
    assert changes == {"path": "2024", "label": None, "size": [8, 12], "test": 0.3}


@pytest.mark.parametrize(
    ("dataset", "typed", "value"),
    [
        ("stl10", "unlabelled=false", False),
        ("svhn", "extra=true", True),
        ("svhn", "extra=True", True),
        ("table", "outside=true", True),
        ("table", "image=0", "0"),
        ("table", "label=01", "01"),
        ("table", "id=1e3", "1e3"),
        ("table", "split=null", None),
        ("folder", "labels=false", False),
        ("folder", "links=true", True),
        ("folder", "channels=1", 1),
        ("folder", "channels=auto", "auto"),
        ("folder", "range=[0,4095]", [0, 4095]),
        ("folder", "size=24", 24),
        ("folder", "size=[24, 40]", [24, 40]),
        ("folder", "encoded=jpeg", "jpeg"),
        ("folder", "fit=pad", "pad"),
        ("folder", "test=0.3", 0.3),
    ],
)
def test_values_keep_their_types_on_the_command_line(
    dataset: str, typed: str, value: object
) -> None:
    config = parse_config([f"dataset={dataset}", typed])  # as Snakemake reads them
    for words in ([], ["--config", f"dataset={dataset}", typed], [f"--config={typed}"]):
        if not words and typed in ("label=01", "id=1e3"):  # known from the command line alone
            continue
        changes = command_line.asked(config, PARAMS, words).changes
        assert changes == {typed.split("=")[0]: value}
        recipe = compose.recipe(PARAMS, dataset, **changes)
        check(recipe, "dataset")


def test_names_that_are_numbers_are_names() -> None:
    config = parse_config(["study=2024", "budget=1e3", "dataset=folder"])
    assert command_line.names(config)["study"] == "2024"
    assert command_line.names({"study": "smoke", "dataset": None}) == {"study": "smoke"}


def test_runs_on_ones_own_images_are_needed_as_any_study_may_be_run_there(tmp_path: Path) -> None:
    variants = ("base", "method.temperature=9")
    names = [f"folder/simclr/{variant}" for variant in variants]
    for name in (*names, "svhn/simclr/base", "gone/simclr/base"):
        (tmp_path / "runs/tiny" / name / "0").mkdir(parents=True)
    found = run_states.look(Plan(PARAMS, tmp_path / "frozen"), tmp_path / "runs")
    states = {f"{each.run.dataset} {each.run.variant}": each.state for each in found}
    assert states == {
        "folder base": "unfinished",
        "folder method.temperature=9": "orphaned",
        "svhn base": "unfinished",
        "gone base": "orphaned",
    }


def test_a_study_of_labels_is_refused_without_any(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", _=range(9))
    work = project.project(tmp_path / "work", project.STUDY)
    page = "reports/study/supervised_contrastive.html"
    asked = ("--config", "dataset=folder", f"path={root}")
    assert "has no labels" in project.snakemake(work, "-n", page, *asked, fails=True)


def test_ids_are_whole_and_unique(classes: Path) -> None:
    raw = Folder(path=str(classes), size=4).load(Path())
    ids = torch.cat([each.id for each in (raw.train, raw.validation, raw.test) if each])
    assert ids.dtype == torch.int64
    assert len(ids.unique()) == 60
    assert (ids >= 0).all()
