"""A labelled folder beside one without labels."""

import shutil
from pathlib import Path

import pytest
import yaml

from support.own_images import RECIPE, counts, prepared
from support.pixels import folder
from unlabel.data.images import Images
from unlabel.data.source_state import fingerprint
from unlabel.dataset.folder import Folder
from unlabel.errors import UserError


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
