"""Hugging Face datasets on disk become datasets, or one sentence says why not."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.large_sets import check_same, hub, hugging_face_table, saved, saved_splits
from support.pixels import picture
from unlabel.data import encoded_column
from unlabel.data.encoded_column import EncodedColumn, Kept
from unlabel.dataset import Raw
from unlabel.dataset.huggingface import HuggingFace
from unlabel.dataset.table import Table
from unlabel.errors import UserError

LABELS = [0, 1] * 5


def rows(start: int, labels: list[int] | None = LABELS, **settings: object) -> pa.Table:
    return hugging_face_table(range(start, start + 10), labels, **settings)  # type: ignore[arg-type]


def load(path: Path, **settings: object) -> Raw:
    return HuggingFace(path=str(path), size=8, **settings).load(Path())  # type: ignore[arg-type]


def said(raw: Raw) -> list[str]:
    return raw.notes["summary"]


def sizes(raw: Raw) -> list[int]:
    return [len(each.id) for each in (raw.train, raw.validation, raw.test) if each is not None]


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    return saved_splits(tmp_path / "splits", train=[rows(0), rows(10)], test=[rows(20)])


def test_a_saved_dataset_with_splits(splits: Path) -> None:
    raw = load(splits)
    assert raw.classes == ("pug", "tabby")
    assert sizes(raw) == [18, 2, 10]
    assert "images in the column img, classes in kind" in said(raw)
    assert said(raw)[0] == "classes pug, tabby; splits train, test"
    examples = HuggingFace(path=str(splits)).examples()
    assert {each.read() for each in examples} == {picture(number) for number in range(30)}
    assert examples[11][:3] == ("train/data-00001-of-00002.arrow row 2", "train", "pug")
    assert examples[11].read() == picture(11)
    assert sizes(load(splits, split=None)) == [22, 2, 6]


def test_saved_parquet_and_a_table_are_the_same_dataset(tmp_path: Path, splits: Path) -> None:
    """The same names, in a column, give the same bits."""
    names = [f"n{n}" for n in range(30)]
    parts = [
        rows(10 * at).append_column("name", pa.array(names[10 * at : 10 * at + 10]))
        for at in range(3)
    ]
    arrow = saved_splits(tmp_path / "arrow", train=parts[:2], test=parts[2:])
    parquet = hub(tmp_path / "hub", train_0=parts[0], train_1=parts[1], test_0=parts[2])
    first = load(arrow, id="name")
    others = [
        load(parquet, id="name"),
        Table(path=str(parquet), size=8, image="img", label="kind", id="name").load(Path()),
        Table(path=str(arrow), size=8, image="img", label="kind", id="name").load(Path()),
    ]
    for other in others:
        check_same(first, other)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("mnist-train", "mnist-test"),
        ("train-00000-of-00001-b513d9e388d56453", "test-00000-of-00001-0123456789abcdef"),
    ],
)
def test_the_names_of_parquet_files_say_the_splits(tmp_path: Path, train: str, test: str) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(rows(0), tmp_path / f"data/{train}.parquet")
    pq.write_table(rows(10), tmp_path / f"data/{test}.parquet")
    raw = load(tmp_path)
    assert sizes(raw) == [8, 2, 10]
    assert said(raw)[0] == "classes pug, tabby; splits train, test"
    assert {
        each.read() for each in HuggingFace(path=str(tmp_path)).examples() if each.split == "test"
    } == {picture(number) for number in range(10, 20)}


@pytest.mark.parametrize("hash", ["", "-0123456789abcdef"])
def test_files_that_are_not_here_are_said(tmp_path: Path, hash: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in (0, 2):
        pq.write_table(rows(10 * number), data / f"train-0000{number}-of-00004{hash}.parquet")
    remark = "2 of the 4 files data/train-*-of-00004.parquet are here; images of the others"
    assert any(line.startswith(remark) for line in said(load(tmp_path)))
    for number in (1, 3):
        pq.write_table(rows(10 * number), data / f"train-0000{number}-of-00004{hash}.parquet")
    assert not any("are here" in line for line in said(load(tmp_path)))


def test_one_saved_dataset_without_splits_or_labels(tmp_path: Path) -> None:
    root = saved(tmp_path / "one", rows(0, None), rows(10, None))
    (root / "cache-0123.arrow").write_bytes(b"of an earlier map()")
    raw = load(root)
    assert raw.classes == ()
    assert sizes(raw) == [14, 2, 4]
    assert "images in the column img, no column of classes" in said(raw)
    assert "1 left out, an .arrow file that no state.json names: cache-0123.arrow" in said(raw)


def test_columns_that_nobody_described(tmp_path: Path) -> None:
    plain = (
        rows(0).rename_columns(["picture", "label"]).replace_schema_metadata({"huggingface": "{"})
    )
    folder = hub(tmp_path, train_0=plain)
    raw = load(folder)
    assert raw.classes == ("0", "1")
    assert "images in the column picture, classes in label" in said(raw)


def test_few_rows_are_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_column, "MOST", 1)
    data, kept = hub(tmp_path, train_0=rows(0), train_1=rows(10)) / "data", Kept()
    files = [data / f"train-0000{number}-of-00002.parquet" for number in (0, 1)]
    column, other = (EncodedColumn(file, "img", kept) for file in files)
    for row in (0, 9, 3, 2, 4, 8):
        assert column.read(row) == picture(row)
        assert other.read(row) == picture(row + 10)
        assert sum(map(len, kept.groups.values())) <= 6  # of groups of 3, of both files
    monkeypatch.undo()
    with ThreadPoolExecutor(4) as pool:
        again = [*range(10)] * 20
        assert [*pool.map(column.read, again)] == [picture(row) for row in again]
    for row in range(10):  # of two threads that read groups at once, one may have been forgotten
        column.read(row)
    assert {(files[0], group) for group in range(4)} <= kept.groups.keys()


@pytest.mark.parametrize(
    ("parts", "settings", "message"),
    [
        ([rows(0)], {"label": "kin"}, "has no column 'kin'; did you mean 'kind'"),
        ([rows(0)], {"image": "kind"}, "the images of .* are int64, but must be paths or encoded"),
        ([rows(0).drop_columns("img")], {}, "has no column of images; its columns are kind. Name"),
        ([rows(0).append_column("back", rows(0)["img"]).replace_schema_metadata(None)], {},
         r"several columns of images \(img, back\)"),
        ([rows(0), rows(10).set_column(1, "kind", pa.array(["a"] * 10))], {},
         "have columns of different types: .*data-00001-of-00002.arrow is not like"),
        ([rows(0), rows(10, names=("pug", "tabby"))], {}, "give their classes different names"),
        ([rows(0), rows(10).drop_columns("img")], {}, "00001-of-00002.arrow has no column 'img'"),
    ],
)  # fmt: skip
def test_bad_columns_are_one_sentence(
    tmp_path: Path, parts: list[pa.Table], settings: dict, message: str
) -> None:
    root = saved(tmp_path / "set", *parts)
    (root / "dataset_info.json").unlink()
    with pytest.raises(UserError, match=message) as caught:
        load(root, **settings)
    assert "\n" not in str(caught.value)


def test_several_columns_of_classes(tmp_path: Path) -> None:
    table = rows(0).append_column("coarse", rows(0)["kind"])
    about = json.loads(table.schema.metadata[b"huggingface"])
    about["info"]["features"]["coarse"] = {"names": ["x", "y"], "_type": "ClassLabel"}
    table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    root = saved(tmp_path / "set", table)
    with pytest.raises(
        UserError, match="several columns of classes: kind, coarse. Name one, as in l"
    ):
        load(root)
    assert load(root, label="coarse").classes == ("x", "y")


@pytest.mark.parametrize("cut", [0, 5, 300, -8, -200])
def test_an_arrow_file_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, cut: int) -> None:
    """Between two batches, too: -8 leaves off just the end of the stream."""
    root = saved(tmp_path / "set", rows(0))
    file = root / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"cannot read .*: it is not a whole arrow file: "):
        load(root)


def test_folders_that_save_to_disk_did_not_write(tmp_path: Path, splits: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="a folder without Parquet files, and save_to_disk did not"):
        load(tmp_path / "empty")
    one = saved(tmp_path / "one", rows(0))
    file = one / "data-00000-of-00001.arrow"
    with pa.OSFile(str(file), "wb") as to, pa.ipc.new_file(to, rows(0).schema) as writer:
        writer.write_table(rows(0))
    with pytest.raises(
        UserError, match="it is of Arrow's file format, but save_to_disk writes str"
    ):
        load(one)
    file.unlink()
    with pytest.raises(
        UserError, match="state.json names files that do not exist: .*; get a whole"
    ):
        load(one)
    state = json.loads((one / "state.json").read_text())
    for change, message in (
        ({"_data_files": [{"filename": "../x.arrow"}]}, "which does not lie beside it"),
        ({"_data_files": 3}, "state.json is not as datasets writes it"),
        ({"_indices_data_files": [{"filename": "indices.arrow"}]}, "only some rows count"),
    ):
        (one / "state.json").write_text(json.dumps(state | change))
        with pytest.raises(UserError, match=message):
            load(one)
    (splits / "dataset_dict.json").write_text('{"splits": ["train", "test", "more"]}')
    with pytest.raises(
        UserError, match="more/state.json does not exist, but dataset_dict.json names"
    ):
        load(splits)
