"""Own images count as changed if their contents have, and not if only their times have."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from support.large_sets import hugging_face_table, samples, saved, tar
from support.models import PARAMS
from support.pixels import folder, picture
from unlabel.data import source_state
from unlabel.params.command_line import ChosenDataset
from unlabel.stage import prepare
from unlabel.workflow.plan import Plan

Look = Callable[[], str]  # the settings that the plan would prepare the dataset with


def touch(path: Path) -> None:
    about = path.stat()
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 5_000_000_000))


def prepared(work: Path, kind: str, path: Path, **settings: object) -> Look:
    """Prepare a dataset as the workflow does; gives a look at what the plan says afterwards."""
    chosen = ChosenDataset(kind, {"path": str(path), "size": 8, **settings})
    home = work / f"data/prepared/{kind}"

    def look() -> str:
        return Plan(PARAMS, work / "frozen", chosen).dataset(kind)["settings"]

    splits = [home / f"{split}.arrow" for split in ("train", "validation", "test")]
    prepare.run(Path(look()), work / "raw", *splits, home / "report.json")
    return look


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    return folder(tmp_path / "set", cat=range(9), dog=range(9, 18))


def test_the_same_bytes_change_nothing(work: Path, classes: Path) -> None:
    look = prepared(work, "folder", classes)
    first = look()
    touch(classes / "cat/001.png")
    (classes / "notes.txt").write_text("on these images")
    (classes / "cat/notes.txt").write_text("on cats")
    assert look() == first
    for path in sorted(classes.rglob("*.png")):  # as after a copy
        touch(path)
    assert look() == first
    (classes / "cat/001.png").write_bytes(picture(100))
    changed = look()
    assert changed != first
    (classes / "cat/001.png").write_bytes(picture(1))
    assert look() == first


@pytest.mark.parametrize("change", ["add", "remove", "rename", "swap"])
def test_other_files_change_it(work: Path, classes: Path, change: str) -> None:
    look = prepared(work, "folder", classes)
    first = look()
    one, other = classes / "cat/001.png", classes / "dog/010.png"
    if change == "add":
        (classes / "cat/more.png").write_bytes(picture(50))
    elif change == "remove":
        one.unlink()
    elif change == "rename":
        one.rename(classes / "dog/001.png")
    else:
        one.write_bytes(picture(10))
        other.write_bytes(picture(1))
    assert look() != first


def test_contents_are_read_once(work: Path, classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = prepared(work, "folder", classes)
    read: list[Path] = []
    content = source_state.content
    monkeypatch.setattr(source_state, "content", lambda p: (read.append(p), content(p))[1])
    look()
    assert not read  # nothing has another time
    touch(classes / "cat/001.png")
    look()
    assert len(read) == 18
    look()
    assert len(read) == 18
    (classes / "cat/more.png").write_bytes(picture(50))  # it is clear without reading
    look()
    assert len(read) == 18


def test_what_cannot_be_read_is_as_it_was(work: Path, classes: Path) -> None:
    (classes / "cat/none.png").symlink_to(classes / "nowhere.png")
    (classes / "cat/cut.png").write_bytes(picture(3)[:50])
    look = prepared(work, "folder", classes, unreadable=0.5)
    first = look()
    touch(classes / "cat/cut.png")
    assert look() == first


def test_followed_links_count(work: Path, classes: Path) -> None:
    other = folder(work / "other", bird=range(30, 40))
    (classes / "bird").symlink_to(other / "bird")
    look = prepared(work, "folder", classes, links=True)
    first = look()
    touch(other / "bird/030.png")
    assert look() == first
    (other / "bird/030.png").write_bytes(picture(99))
    assert look() != first


def test_the_images_of_a_table_count(work: Path, classes: Path) -> None:
    names = sorted(path.relative_to(classes).as_posix() for path in classes.rglob("*.png"))
    lines = ["image,label", *(f"{name},{name[:3]}" for name in names)]
    (classes / "table.csv").write_text("\n".join(lines))
    look = prepared(work, "table", classes / "table.csv", split=None)
    first = look()
    for name in (names[0], "table.csv"):
        touch(classes / name)
    assert look() == first
    (classes / names[0]).write_bytes(picture(200))
    assert look() != first
    (classes / names[0]).write_bytes(picture(0))
    assert look() == first
    (classes / "table.csv").write_text("\n".join([*lines[:-1], f"{names[-1]},cat"]))
    assert look() != first


def test_shards_count(work: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for part in range(2):
        images = pa.array([picture(10 * part + n) for n in range(10)], pa.binary())
        table = pa.table({"image": images, "label": ["a", "b"] * 5})
        pq.write_table(table, tmp_path / f"shards/train-{part}.parquet")
    look = prepared(work, "table", tmp_path / "shards")
    first = look()
    touch(tmp_path / "shards/train-1.parquet")
    assert look() == first
    shutil.copy(tmp_path / "shards/train-1.parquet", tmp_path / "shards/train-2.parquet")
    assert look() != first


@pytest.mark.parametrize("kind", ["webdataset", "huggingface"])
def test_files_of_many_images_count(work: Path, kind: str) -> None:
    root = work / "set"
    if kind == "webdataset":
        tar(root / "0.tar", samples(range(12), cls=["0", "1"] * 6))
        file = tar(root / "1.tar", samples(range(12, 24), cls=["0", "1"] * 6))
        path = root / "{0..1}.tar"
    else:
        path = saved(root, *(hugging_face_table(range(n, n + 12), [0, 1] * 6) for n in (0, 12)))
        file = path / "data-00001-of-00002.arrow"
    look = prepared(work, kind, path)
    first, whole = look(), file.read_bytes()
    touch(file)
    (root / "notes.txt").write_text("on these images")
    assert look() == first
    other = next(each for each in root.glob(f"*{file.suffix}") if each != file)
    file.write_bytes(other.read_bytes())
    assert look() != first
    file.write_bytes(whole)
    assert look() == first
    shutil.rmtree(root)
    assert look() == first  # as on a machine that only has the prepared dataset


def test_a_report_of_an_earlier_version_counts_as_of_other_images(
    work: Path, classes: Path
) -> None:
    look = prepared(work, "folder", classes)
    report = work / "data/prepared/folder/report.json"
    told = yaml.safe_load(report.read_text())
    told["content"] = "0123456789abcdef"
    del told["files"]
    report.write_text(json.dumps(told))
    assert yaml.safe_load(Path(look()).read_text())["content"] != told["content"]
