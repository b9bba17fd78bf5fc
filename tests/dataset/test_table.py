"""Tables of your own images become datasets, or one sentence says why not."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.pixels import picture
from unlabel.dataset import Raw
from unlabel.dataset.table import Table
from unlabel.errors import UserError

LABELS = ["cat", "dog"] * 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures, and a CSV file of them."""
    (tmp_path / "set/images").mkdir(parents=True)
    names = [f"images/{number}.png" for number in range(20)]
    for number, name in enumerate(names):
        (tmp_path / "set" / name).write_bytes(picture(number))
    rows = zip(names, LABELS, ["train"] * 12 + ["val"] * 4 + ["test"] * 4, strict=True)
    write(tmp_path / "set/table.csv", ["image,label,split", *map(",".join, rows)])
    return tmp_path / "set"


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def columns(**each: object) -> dict[str, object]:
    images = pa.array([picture(number) for number in range(20)], pa.binary())
    return {"image": images, "label": LABELS, **each}


def parquet(path: Path, table: dict[str, object]) -> Path:
    pq.write_table(pa.table(table), path)
    return path


def load(path: Path, **settings: object) -> Raw:
    return Table(path=str(path), size=8, **settings).load(Path())  # type: ignore[arg-type]


def test_a_csv_file_of_paths(folder: Path) -> None:
    raw = load(folder / "table.csv")
    assert raw.classes == ("cat", "dog")
    assert [len(each.id) for each in (raw.train, raw.validation, raw.test) if each] == [12, 4, 4]
    assert raw.train.label.bincount().tolist() == [6, 6]
    examples = {each.name: each for each in Table(path=str(folder / "table.csv")).examples()}
    assert examples["images/13.png"][1:3] == ("validation", "dog")
    assert examples["images/13.png"].read() == picture(13)


def test_columns_may_have_other_names_and_tabs_between_them(folder: Path) -> None:
    lines = (folder / "table.csv").read_text().splitlines()[1:]
    table = write(folder / "t.tsv", ["file\tkind\twhere", *(x.replace(",", "\t") for x in lines)])
    raw = load(table, image="file", label="kind", split="where")
    first = load(folder / "table.csv")
    assert raw.train.image.equal(first.train.image)
    assert raw.sha256 == first.sha256


def test_a_parquet_file_of_encoded_images(tmp_path: Path) -> None:
    table = parquet(tmp_path / "t.parquet", columns(name=[f"n{i}" for i in range(20)]))
    raw = load(table, split=None, id="name")
    assert raw.validation is not None
    assert [len(each.id) for each in (raw.train, raw.validation, raw.test)] == [14, 2, 4]
    assert Table(path=str(table), split=None, id="name").examples()[3].name == "n3"
    assert Table(path=str(table), split=None).examples()[3].name == "row 4"


def test_images_as_hugging_face_has_them(tmp_path: Path) -> None:
    images = pa.array([{"bytes": picture(i), "path": None} for i in range(20)])
    table = parquet(tmp_path / "t.parquet", columns(image=images))
    plain = parquet(tmp_path / "plain.parquet", columns())
    assert load(table, split=None).train.image.equal(load(plain, split=None).train.image)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (list(range(2, 12)) * 2, tuple(map(str, range(2, 12)))),  # not 10, 11, 2, ...
        ([1.0, 2.0] * 10, ("1", "2")),  # as pandas writes whole numbers beside missing ones
        (pa.array(LABELS).dictionary_encode(), ("cat", "dog")),
        ([True, False] * 10, ("False", "True")),
    ],
)
def test_labels_are_numbers_or_texts(
    tmp_path: Path, labels: object, classes: tuple[str, ...]
) -> None:
    table = parquet(tmp_path / "t.parquet", columns(label=labels))
    if len(classes) > 2:  # two of each
        with pytest.raises(UserError, match=r"10 classes have too few .*\('2' 2, '3' 2"):
            load(table, split=None)
        table = parquet(
            tmp_path / "t.parquet",
            {"image": [picture(i) for i in range(40)], "label": list(labels) * 2},  # type: ignore[call-overload]
        )
    assert load(table, split=None).classes == classes


def test_labels_may_be_missing(tmp_path: Path) -> None:
    few = [*LABELS[:10], *[None] * 9, "cat"]
    raw = load(parquet(tmp_path / "t.parquet", columns(label=few)), split=None)
    assert (raw.train.label == -1).sum() == 9
    floats = np.array([0, 1] * 5 + [np.nan] * 10)
    raw = load(parquet(tmp_path / "t.parquet", columns(label=floats)), split=None)
    assert raw.classes == ("0", "1")
    assert (raw.train.label == -1).sum() == 10
    text = ",".join
    names = [f"{i}.png" for i in range(20)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(picture(i))
    rows = [text((name, label or "")) for name, label in zip(names, few, strict=True)]
    raw = load(write(tmp_path / "t.csv", ["image,label", *rows]), split=None)
    assert (raw.train.label == -1).sum() == 9


def test_without_labels(tmp_path: Path) -> None:
    table = parquet(tmp_path / "t.parquet", columns(label=[None] * 20))
    for settings in ({"label": None}, {}):
        assert not Table(path=str(table), split=None, **settings).labelled()
        raw = load(table, split=None, **settings)
        assert raw.validation is not None
        assert [len(each.id) for each in (raw.train, raw.validation, raw.test)] == [14, 2, 4]
    assert Table(path=str(parquet(table, columns())), split=None).labelled()


def test_what_is_missing_is_unreadable(folder: Path) -> None:
    with (folder / "table.csv").open("a") as file:
        file.write("images/none.png,cat,train\n,dog,train\n")
    raw = load(folder / "table.csv", unreadable=0.1)
    assert raw.notes["unreadable"] == {
        "images/none.png": "No such file or directory",
        "row 22": "there is no path",
    }
    table = columns(image=[*(picture(i) for i in range(19)), None])
    raw = load(parquet(folder / "t.parquet", table), split=None, unreadable=0.1)
    assert raw.notes["unreadable"] == {"row 20": "there is no image"}


@pytest.mark.parametrize("path", ["../secret.png", "images/../../secret.png", "{absolute}", "link"])
def test_paths_that_lead_out_are_refused_unless_allowed(folder: Path, path: str) -> None:
    secret = folder.parent / "secret.png"
    secret.write_bytes(picture(100))
    (folder / "link").symlink_to(secret)
    with (folder / "table.csv").open("a") as file:
        file.write(f"{path.format(absolute=secret)},cat,train\n")
    with pytest.raises(UserError, match=r"leads out of .*set, the folder of its table; put"):
        load(folder / "table.csv")
    assert len(load(folder / "table.csv", outside=True).train.id) == 13


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (["image,class", "1.png,cat"], {}, r"no column 'label'; known are: class, image\. Name"),
        (["image,lable", "1.png,cat"], {}, "has no column 'label'; did you mean 'lable'"),
        (["image,label", "1.png,cat"], {}, "has no column 'split'"),
        (["image,label,label", "1.png,cat,5"], {"split": None}, "has 2 columns 'label'; give each"),
        (["image,label,split"], {}, "has no rows, so no images"),
        (["image,label,split", "1.png,cat,trian"], {}, "row 1 of .* has 'trian' in the column 'sp"),
        (["image,label,split", "1.png,cat,"], {}, "row 1 of .* has 'nothing' in the column"),
        (["image,label,split", "1.png,cat,test"], {}, "images of test, but none to train on"),
        (["image,label", "a.png,1", "b.png,2", "a.png,1"], {"split": None},
         "rows 1 and 3 of .* both are 'a.png'"),
        (["image,label,split", '"1.png,cat'], {}, "a value in line 2 of .* does not end in that"),
    ],
)  # fmt: skip
def test_bad_tables_are_one_sentence(
    folder: Path, lines: list[str], settings: dict, message: str
) -> None:
    for name in ("1.png", "a.png", "b.png"):
        (folder / name).write_bytes(picture(0))
    with pytest.raises(UserError, match=message) as caught:
        load(write(folder / "bad.csv", lines), **settings)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables(folder: Path) -> None:
    (folder / "t.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(UserError, match=r"t\.parquet: it is not a whole parquet file"):
        load(folder / "t.parquet")
    with pytest.raises(UserError, match=r"must end in one of \.csv, \.tsv, \.parquet"):
        load(write(folder / "t.xlsx", ["x"]))
    with pytest.raises(UserError, match="the images of .* are int64, but must be paths or enc"):
        load(parquet(folder / "n.parquet", {"image": [1, 2], "label": [1, 2], "split": ["a", "b"]}))
    twice = pa.Table.from_arrays([pa.array(["1.png"])] * 3, ["image", "label", "label"])
    pq.write_table(twice, folder / "twice.parquet")
    with pytest.raises(UserError, match=r"twice\.parquet has 2 columns 'label'; give each"):
        load(folder / "twice.parquet", split=None)
    with pytest.raises(UserError, match="images is a folder without Parquet files"):
        load(folder / "images")


# As people write tables


def said(raw: Raw) -> list[str]:
    return raw.notes["summary"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_found(folder: Path, separator: str) -> None:
    plain = load(folder / "table.csv")
    lines = (folder / "table.csv").read_text().replace(",", separator).splitlines()
    raw = load(write(folder / "other.csv", lines))
    assert raw.train.image.equal(plain.train.image)
    name = {";": "semicolons", "\t": "tabs", "|": "bars"}[separator]
    assert f"read with {name} between the columns, in UTF-8" in said(raw)
    assert not any("read with" in each for each in said(plain))


@pytest.mark.parametrize(
    ("encoding", "called"),
    [("latin-1", "Windows-1252"), ("utf-16", "UTF-16"), ("utf-8-sig", ""), ("utf-8", "")],
)
def test_other_encodings_are_read_and_named(folder: Path, encoding: str, called: str) -> None:
    text = (folder / "table.csv").read_text().replace("cat", "Kätzchen")
    (folder / "other.csv").write_text(text, encoding=encoding)
    raw = load(folder / "other.csv")
    assert raw.classes == ("Kätzchen", "dog")
    named = [each for each in said(raw) if "read with" in each]
    assert named == ([f"read with commas between the columns, in {called}"] if called else [])


def test_errors_name_separator_encoding_and_line(folder: Path) -> None:
    lines = (folder / "table.csv").read_text().splitlines()
    lines[6] += ";one;more"
    path = write(folder / "bad.csv", [line.replace(",", ";") for line in lines])
    with pytest.raises(UserError, match=r"with semicolons .*, in UTF-8: .*line 7: Expected 3 col"):
        load(path)
    with pytest.raises(
        UserError, match=r"commas between the columns, in UTF-8.* has no column 'c'"
    ):
        load(folder / "table.csv", label="c")
    with pytest.raises(
        UserError, match=r"row 1 of .* has 'cat' in the column 'label', which is no"
    ):
        load(folder / "table.csv", split="label")


@pytest.mark.parametrize(
    ("at", "change", "line"),
    [
        (4, ("dog", '"3.5 inch'), 5),  # to the end of the file
        (4, ("dog", f'"{"x" * 200_000}'), 5),
        (4, ("dog", '"a\rb"'), 5),
        (4, ("dog", '\n"3.5 inch'), 6),
        (0, ("split", '"split'), 1),
        (20, ("test", '"test'), 21),  # the last
    ],
)
def test_a_quotation_mark_that_is_not_closed_loses_no_images(
    folder: Path, at: int, change: tuple[str, str], line: int
) -> None:
    lines = (folder / "table.csv").read_text().splitlines()
    lines[at] = lines[at].replace(*change)
    path = write(folder / "bad.csv", lines)
    unread = {"label": None, "split": None}  # it may be in a column that is not read
    message = rf"a value in line {line} of .*bad\.csv .* does not end in that line.*; close it"
    with pytest.raises(UserError, match=message):
        Table(path=str(path), size=8, **unread).examples()


def test_quotation_marks_that_are_closed_or_inside_a_value_are_read(folder: Path) -> None:
    names = ['"3.5"" inch, grey"', '3.5" inch', f'"{"x" * 200_000}"', '"3.5" "inch']
    lines = ["image,name", *(f"images/{at}.png,{each}" for at, each in enumerate(names))]
    table = Table(path=str(write(folder / "t.csv", lines)), label=None, split=None, id="name")
    assert [each.name[:16] for each in table.examples()] == [
        '3.5" inch, grey',
        '3.5" inch',
        "x" * 16,
        '3.5 "inch',
    ]


def test_minus_one_is_no_label_among_numbers_or_names(folder: Path) -> None:
    rows = [f"images/{n}.png,{n % 3 if n < 16 else -1}" for n in range(20)]
    table = write(folder / "n.csv", ["image,label", *rows])
    raw = load(table, split=None)
    assert raw.classes == ("0", "1", "2")
    assert (raw.train.label == -1).sum() == 4
    assert "4 with the label -1, taken as unlabelled" in said(raw)
    for labels, classes in (((-1, 1), ("-1", "1")), ((-1, -2), ("-2", "-1")), (("-1", "a"), None)):
        rows = [f"images/{n}.png,{labels[n % 2]}" for n in range(20)]
        raw = load(write(table, ["image,label", *rows]), split=None)
        assert raw.classes == (classes or ("-1", "a"))
    rows = [f"images/{n}.png,{('cat', 'dog', -1)[n % 3]}" for n in range(20)]
    raw = load(write(table, ["image,label", *rows]), split=None)
    assert raw.classes == ("cat", "dog")
    assert "6 with the label -1, taken as unlabelled" in said(raw)
    write(table, ["image,label", *[f"images/{n}.png,-1" for n in range(20)]])
    assert not Table(path=str(table), split=None).labelled()


def hugging_face(path: Path, numbers: range, labels: list[int]) -> Path:
    """A file as its `datasets` writes it."""
    images = pa.array([{"bytes": picture(i), "path": f"{i}.png"} for i in numbers])
    names = {
        "image": {"_type": "Image"},
        "label": {"names": ["tabby", "pug"], "_type": "ClassLabel"},
    }
    table = pa.table({"image": images, "label": pa.array(labels, pa.int64())})
    about = {"huggingface": json.dumps({"info": {"features": names}})}
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table.replace_schema_metadata(about), path)
    return path


def test_hugging_face_names_the_classes(tmp_path: Path) -> None:
    table = hugging_face(tmp_path / "t.parquet", range(20), [0, 1] * 8 + [-1] * 4)
    raw = load(table, split=None)
    assert raw.classes == ("pug", "tabby")
    assert (raw.train.label == -1).sum() == 4
    broken = pq.read_table(table).replace_schema_metadata({"huggingface": "[1"})
    pq.write_table(broken, table)
    assert load(table, split=None).classes == ("0", "1")


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"),
        ("train/0000", "train/0001", "test/0000"),
        ("data/unsupervised-00000-of-00001", "data/train-00000-of-00001", "data/test-0"),
    ],
)
def test_a_folder_of_shards(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / names[0]).parent.mkdir(exist_ok=True)
    for at, name in enumerate(names):
        hugging_face(root / f"{name}.parquet", range(10 * at, 10 * at + 10), [0, 1] * 5)
    raw = load(root)
    assert raw.classes == ("pug", "tabby")
    assert len(raw.test.id) == 10
    assert raw.validation is not None
    assert len(raw.train.id) + len(raw.validation.id) == 20
    unlabelled = 10 if "unsupervised" in names[0] else 0
    assert (raw.train.label == -1).sum() == unlabelled
    assert said(raw)[0].startswith("classes pug, tabby; splits train, test")
    free = load(root, split=None)
    assert len(free.test.id) == 6
    examples = {each.name for each in Table(path=str(root)).examples()}
    assert len(examples) == 30


def test_shards_that_do_not_fit_together(tmp_path: Path) -> None:
    hugging_face(tmp_path / "set/train-0.parquet", range(10), [0, 1] * 5)
    hugging_face(tmp_path / "set/more-0.parquet", range(10, 20), [0, 1] * 5)
    with pytest.raises(
        UserError, match="the name of .*train-0.parquet says .* of train, but .*more"
    ):
        load(tmp_path / "set")
    parquet(tmp_path / "set/more-0.parquet", columns())
    with pytest.raises(UserError, match="have columns of different types"):
        load(tmp_path / "set", split=None)
