"""Shards of your own images become datasets, or one sentence says why not."""

import json
import tarfile
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.large_sets import Files, check_same, samples, tar
from support.pixels import picture
from unlabel.data.braces import expanded
from unlabel.dataset import Raw
from unlabel.dataset._by_file import said_by
from unlabel.dataset.table import Table
from unlabel.dataset.webdataset import WebDataset
from unlabel.errors import UserError

NUMBERS = ["0", "1"] * 10


def load(path: Path | str, **settings: object) -> Raw:
    return WebDataset(path=str(path), size=8, **settings).load(Path())  # type: ignore[arg-type]


def said(raw: Raw) -> list[str]:
    return raw.notes["summary"]


def sizes(raw: Raw) -> list[int]:
    return [len(each.id) for each in (raw.train, raw.validation, raw.test) if each is not None]


def test_braces() -> None:
    assert expanded("a-{008..010}.tar") == ["a-008.tar", "a-009.tar", "a-010.tar"]
    assert expanded("{train,val}/{9..10}") == ["train/9", "train/10", "val/9", "val/10"]
    assert expanded("{a}-{b,c}") == ["{a}-b", "{a}-c"]
    for wrong in ("{2..1}", "{0..1000000}", "{0..999}{0..999}{0..9}"):
        with pytest.raises(UserError):
            expanded(wrong)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two shards to train on, and one to test."""
    root = tmp_path / "shards"
    for split, start in (("train-000000", 0), ("train-000001", 20), ("val/000000", 40)):
        tar(root / f"{split}.tar", samples(range(start, start + 20), cls=NUMBERS))
    (root / "val").rename(root / "test")
    return root


def test_shards_and_a_table_of_the_same_images_are_the_same_dataset(shards: Path) -> None:
    raw = load(shards)
    assert raw.classes == ("0", "1")
    assert sizes(raw) == [36, 4, 20]
    examples = WebDataset(path=str(shards)).examples()
    assert examples[21][:3] == ("train-000000.tar/000001.png", "train", "1")
    columns = {
        "name": [each.name for each in examples],
        "image": [each.read() for each in examples],
        "label": [each.label for each in examples],
        "split": [each.split for each in examples],
    }
    pq.write_table(pa.table(columns), shards.parent / "t.parquet")
    same = Table(path=str(shards.parent / "t.parquet"), id="name", size=8).load(Path())
    check_same(raw, same)


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("train.tar", {"train"}),
        ("val.tar", {"validation"}),
        ("mnist-train.parquet", {"train"}),
        ("imagenet-val-000006.tar", {"validation"}),
        ("test.cats.tar", {"test"}),
        ("train-00000-of-00001-b513d9e388d56453.parquet", {"train"}),
        ("train_val-00000-of-00001-b513d9e388d56453.parquet", {"train"}),
        ("train_unlabelled-0.tar", {"unlabelled"}),
        ("val-test-0.tar", {"validation", "test"}),
        ("coco-train_val.tar", {"train", "validation"}),
        ("test/0000.tar", {"test"}),
        ("test/train/0000-b513d9e3.tar", {"train"}),
        ("carnival-0001.tar", set()),
        ("contest-trainer.tar", set()),
        ("b513d9e388d56453.parquet", set()),
        ("line\nbreak.tar", set()),
    ],
)
def test_the_splits_that_names_of_files_say(name: str, splits: set[str]) -> None:
    assert said_by(PurePath(name)) == splits


def test_shards_without_numbers_are_of_the_split_that_is_their_name(tmp_path: Path) -> None:
    root = tmp_path / "set"
    tar(root / "train.tar", samples(range(20), cls=NUMBERS))
    tar(root / "test.tar", samples(range(20, 30), cls=NUMBERS))
    for path in (root, f"{root}/{{train,test}}.tar"):
        raw = load(path)
        assert sizes(raw) == [18, 2, 10]
        assert said(raw)[0] == "classes 0, 1; splits train, test"
        tested = [
            each.name for each in WebDataset(path=str(path)).examples() if each.split == "test"
        ]
        assert tested == [f"test.tar/{number:06}.png" for number in range(20, 30)]
    assert sizes(load(root, splits=False)) == [22, 2, 6]
    (root / "test.tar").rename(root / "val-test.tar")
    with pytest.raises(UserError, match=r"val-test.tar says that it is of test and of validation;"):
        load(root)
    with pytest.raises(
        UserError, match=r"train on; add one, or set splits=false if no name says a split$"
    ):
        load(tar(tmp_path / "alone/test.tar", GOOD))


def test_braces_name_shards(shards: Path) -> None:
    some = load(f"{shards}/train-{{000000..000001}}.tar")
    assert sizes(some) == [28, 4, 8]
    names = [
        each.name for each in WebDataset(path=f"{shards}/train-{{000000..000001}}.tar").examples()
    ]
    assert names[0] == "train-000000.tar/000000.png"
    with pytest.raises(UserError, match="stands for 3 shards, but 1 do not exist: .*-000002.tar"):
        load(f"{shards}/train-{{000000..000002}}.tar")
    with pytest.raises(UserError, match=r"does not exist; say where .* or path='train-"):
        load(shards / "none.tar")


def test_what_is_no_image_is_counted_and_a_pickle_is_never_read(tmp_path: Path) -> None:
    """As img2dataset writes: a caption, and a JSON file without a label."""
    about = [json.dumps({"url": "u", "key": str(n), "status": "success"}) for n in range(20)]
    files = samples(range(20), txt=["a caption"] * 20, json=about)
    files |= {"000003.pyd": b"cos\nsystem\n", "readme": "none", "x/lost.txt": "no image"}
    root = tar(tmp_path / "set/00000.tar", files).parent
    (root / "00000_stats.json").write_text("{}")
    (root / "00001.tar.gz").write_bytes(b"")
    (root / "._00000.tar").write_bytes(b"")
    raw = load(root)
    assert raw.classes == ()
    assert sizes(raw) == [14, 2, 4]
    assert raw.notes["skipped"] == {
        "never read, as a pickle can run code": {"files": 1, "first": ["00000.tar/000003.pyd"]},
        "no image for its key": {"files": 1, "first": ["00000.tar/x/lost"]},
        "no key by its name": {"files": 1, "first": ["00000.tar/readme"]},
        "not read (.json)": {"files": 20, "first": [f"00000.tar/{n:06}.json" for n in range(10)]},
        "not read (.txt)": {"files": 20, "first": [f"00000.tar/{n:06}.txt" for n in range(10)]},
        "compressed, which cannot be read in place (gunzip unpacks .gz)": {
            "files": 1,
            "first": ["00001.tar.gz"],
        },
        "hidden": {"files": 1, "first": ["._00000.tar"]},
        "no shard by its name": {"files": 1, "first": ["00000_stats.json"]},
    }
    assert "1 shard; labels in no file" in said(raw)


@pytest.mark.parametrize(
    ("files", "settings", "classes"),
    [
        ({"txt": ["cat", "dog\n"] * 10}, {"label": "txt"}, ("cat", "dog")),
        ({"json": ['{"label": "cat"}', '{"label": "dog"}'] * 10}, {}, ("cat", "dog")),
        ({"json": ['{"n": 3, "label": null}', '{"n": 12}'] * 10}, {"field": "n"}, ("3", "12")),
        ({"cls": ["2\n", "10"] * 10, "json": ['{"label": 1}'] * 20}, {}, ("2", "10")),
        ({"cls": NUMBERS}, {"label": None}, ()),
    ],
)
def test_labels(tmp_path: Path, files: dict, settings: dict, classes: tuple[str, ...]) -> None:
    raw = load(tar(tmp_path / "0.tar", samples(range(20), **files)), **settings)
    assert raw.classes == classes


def test_some_images_have_no_label(tmp_path: Path) -> None:
    files = samples(range(20), cls=[*NUMBERS[:14], *["-1"] * 6])
    del files["000000.cls"]
    tar(tmp_path / "set/train-0.tar", files)
    tar(tmp_path / "set/unlabelled-0.tar", samples(range(20, 30), cls=["0"] * 10))
    raw = load(tmp_path / "set")
    assert int((raw.train.label < 0).sum()) == 17
    assert "6 with the label -1, taken as unlabelled" in said(raw)


def test_class_names_beside_the_shards(shards: Path) -> None:
    (shards / "classnames.txt").write_text("tabby\npug\n")
    assert load(shards).classes == ("pug", "tabby")
    (shards / "classnames.txt").write_text("crane\ncrane \n\n")  # ImageNet has two
    raw = load(shards)
    assert raw.classes == ("crane (0)", "crane (1)")
    assert raw.train.label.bincount().tolist() == [18, 18]
    (shards / "classnames.txt").write_text("tabby\n  \npug\n")
    with pytest.raises(
        UserError, match="of class 1, but line 2 of classnames.txt, which should na"
    ):
        load(shards)
    (shards / "classnames.txt").write_text("tabby\n")
    with pytest.raises(UserError, match="000041 of class 1, but classnames.txt names 1 classes"):
        load(shards)


def test_one_of_several_images_of_a_key_is_chosen(tmp_path: Path) -> None:
    files = {f"{n}.{which}": picture(n + at) for n in range(20) for at, which in
             ((0, "input.png"), (100, "mask.png"))}  # fmt: skip
    path = tar(tmp_path / "0.tar", files)
    with pytest.raises(
        UserError, match=r"two images for the key 0: \.input\.png and \.mask\.png; ch"
    ):
        load(path)
    raw = load(path, image="input.png")
    assert sum(sizes(raw)) == 20
    assert raw.notes["skipped"]["not read (.mask.png)"]["files"] == 20


GOOD = samples(range(4), cls=["0", "1"] * 2)


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        (GOOD | {"000001.cls": "cat"}, {}, r"000001.cls in .*0.tar has 'cat', which is not a numb"),
        (GOOD | {"000001.cls": ""}, {}, r"has '', which is not a number"),
        (GOOD | {"000001.cls": b"\xff"}, {}, r"000001.cls in .* is not text"),
        (GOOD, {"label": "json"}, r"no image of .* has a file \.json beside it; name another"),
        (samples(range(2), json=["{}", "{"]), {"label": "json"}, "000001.json in .* is not JSON"),
        (samples(range(1), json=["[" * 100_000]), {"label": "json"}, "000000.json in .* not JSON"),
        (samples(range(1), json=['{"label": [1]}']), {}, r"has label=\[1\], which is neither a"),
        ({"a.txt": "no image"}, {}, r"the shards of .* have no images \(no image for its key\)"),
        ({}, {}, r"the shards of .* have no images \(they are empty\)"),
        ({"a.jpg": b"1", "a.JPG": b"2"}, {}, r"0.tar has a.JPG twice"),
    ],
)  # fmt: skip
def test_bad_shards_are_one_sentence(
    tmp_path: Path, files: Files, settings: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(tar(tmp_path / "0.tar", files), **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 2048, -1024])
def test_a_shard_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, cut: int) -> None:
    """At the end of a file in it, too: -1024 leaves off just the end of the archive."""
    path = tar(tmp_path / "0.tar", {"a.png": picture(0), "a.cls": "1"})
    with tarfile.open(path) as archive:
        archive.getmembers()
        end = archive.offset
    path.write_bytes(path.read_bytes()[: end if cut < 0 else cut])
    with pytest.raises(UserError, match=r"0\.tar is cut short or damaged \(.*\); get a whole copy"):
        load(path)


def test_files_that_are_no_shards(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"a.zip is not a shard; its name must end in \.tar"):
        load(tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"has no shards \(1 left out, no shard by its name: a.zip"):
        load(tmp_path)
    tar(tmp_path / "train-0.tar", GOOD)
    tar(tmp_path / "more-0.tar", GOOD)
    with pytest.raises(
        UserError, match="train-0.tar says .* of train, but .*more-0.tar says no spl"
    ):
        load(tmp_path)


def test_links_and_long_names(tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w") as archive:
        for n in range(8):
            (tmp_path / "x.png").write_bytes(picture(n))
            archive.add(tmp_path / "x.png", f"./{'deep/' * 30}{n}.png")
        link = tarfile.TarInfo("out.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    raw = load(path)
    assert sum(sizes(raw)) == 8
    assert raw.notes["skipped"]["a link or a device"]["first"] == ["0.tar/out.png"]
    assert WebDataset(path=str(path)).examples()[3].name == f"0.tar/{'deep/' * 30}3.png"
