"""Image files are found in a folder, and each file that is left out is counted by its reason."""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from PIL import Image

from support.pixels import folder, picture
from unlabel.data import decode, image_files
from unlabel.data.decode import FORMATS
from unlabel.data.image_files import ENDINGS, find, is_read, no_images, say
from unlabel.errors import UserError


def names(root: Path, **settings: bool) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find(root, **settings).paths]


def test_find(tmp_path: Path) -> None:
    root, outside = tmp_path / "images", tmp_path / "outside"
    images = ["b.PNG", "a/2.jpg", "a/10.jpeg", "a/deep/1.webp", "é.tif", "x.JFIF", "y.jpe"]
    others = ["notes.txt", ".hidden.png", ".git/1.png", "a/.DS_Store", "a/._2.jpg", "none"]
    for name in (*images, *others, "../outside/secret.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "leads_out.png").symlink_to(outside / "secret.png")
    (root / "outside").symlink_to(outside)
    (root / "a/loop").symlink_to(root)
    (root / "inside.png").symlink_to(root / "b.PNG")
    inside = sorted([*images, "inside.png"])
    assert names(root) == sorted(inside, key=lambda name: Path(name).parts)
    assert find(root).skipped == {
        image_files.HIDDEN: [".hidden.png", "a/._2.jpg"],
        image_files.LINKED_TWICE: ["a/loop"],
        image_files.LINKED_FOLDER: ["outside"],
        image_files.LINKED_FILE: ["leads_out.png"],
        image_files.OTHER: ["none", "notes.txt"],
    }
    assert "1 left out, a link to a folder (links=true follows it): outside" in say(
        find(root).skipped
    )
    followed = {*inside, "leads_out.png", "outside/secret.png"}
    assert set(names(root, links=True)) == followed
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert len(find(linked).paths) == len(inside)


def test_links_that_never_end_are_followed_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for each in (one, other):
        each.mkdir()
        (each / "1.png").write_bytes(b"")
    (one / "other").symlink_to(other)
    (other / "one").symlink_to(one)
    (other / "other").symlink_to(other)
    assert names(one, links=True) == ["1.png", "other/1.png"]


@pytest.mark.parametrize("backwards", [False, True])
def test_of_two_links_to_one_folder_the_first_by_name_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    """Whatever the file system's order."""
    root, outside = tmp_path / "images", tmp_path / "outside"
    for name in ("outside/1.png", "images/b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    for name in ("c", "b/link", "a"):
        (root / name).symlink_to(outside)
    scan = os.scandir

    def in_order(folder: str) -> AbstractContextManager[Iterable[os.DirEntry]]:
        with scan(folder) as entries:
            return nullcontext(sorted(entries, key=lambda each: each.name, reverse=backwards))

    monkeypatch.setattr(os, "scandir", in_order)
    assert names(root, links=True) == ["a/1.png", "b/2.png"]
    assert find(root, links=True).skipped == {image_files.LINKED_TWICE: ["b/link", "c"]}


def test_a_link_to_itself_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("self.png", "self"):
        (tmp_path / name).symlink_to(name)
    assert names(tmp_path) == ["self.png"]
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        decode.content(tmp_path / "self.png")


def test_find_says_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a folder"):
        find(tmp_path / "nowhere")
    (tmp_path / "locked").mkdir(mode=0)
    if not os.access(tmp_path / "locked", os.R_OK):  # root may read everything
        with pytest.raises(UserError, match="cannot read the folder .*locked"):
            find(tmp_path)


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_each_ending_is_read_or_named(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"image{ending}").write_bytes(b"")
    found, format = find(tmp_path), ENDINGS[ending]
    if is_read(format):
        assert len(found.paths) == 1
    else:
        assert found.skipped == {image_files.UNSUPPORTED[format]: [f"image{ending}"]}


def test_formats_that_need_more_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, cat=range(3))
    for name in ("cat/1.HEIC", "cat/2.heic", "3.avif"):
        (tmp_path / name).write_bytes(b"")
    without = tuple(format for format in FORMATS if format not in ("HEIF", "AVIF"))
    monkeypatch.setattr(image_files, "FORMATS", without)
    found = find(tmp_path)
    assert len(found.paths) == 3
    assert list(say(found.skipped)) == [
        "1 left out, AVIF, which needs Pillow 11.3 or newer: 3.avif",
        "2 left out, HEIC, which needs pillow-heif (pip install pillow-heif): cat/1.HEIC, "
        "cat/2.heic",
    ]


@pytest.mark.skipif("AVIF" not in FORMATS, reason="Pillow was built without AVIF")
def test_avif_is_decoded(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 100, 50)).save(tmp_path / "a.avif", "AVIF")
    pixels = decode.decode((tmp_path / "a.avif").read_bytes(), (3, 8, 8))
    assert abs(pixels.reshape(3, -1).mean(1) - (200, 100, 50)).max() < 6


def test_heic_is_decoded(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 64), (200, 100, 50))).save(tmp_path / "a.heic")
    pixels = decode.decode((tmp_path / "a.heic").read_bytes(), (3, 8, 8))
    assert abs(pixels.reshape(3, -1).mean(1) - (200, 100, 50)).max() < 6


def test_a_folder_without_images_says_what_it_has_instead(tmp_path: Path) -> None:
    outside = folder(tmp_path / "outside", bird=range(3))
    (tmp_path / "images").mkdir()
    (tmp_path / "images/bird").symlink_to(outside / "bird")
    (tmp_path / "images/notes.txt").write_bytes(picture(0))
    said = str(no_images(tmp_path / "images", find(tmp_path / "images").skipped))
    assert "1 left out, a link to a folder (links=true follows it): bird; 1 left out, no" in said
    assert "their names must end in .apng, " in said
