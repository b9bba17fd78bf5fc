"""Sets of many images in few files, written as the libraries of these formats do."""

import json
import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.pixels import picture
from unlabel.dataset import Raw

Files = Mapping[str, bytes | str]


def tar(path: Path, files: Files) -> Path:
    """A shard with these files in this order, as `webdataset.TarWriter` makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            encoded = content.encode() if isinstance(content, str) else content
            about = tarfile.TarInfo(name)
            about.size = len(encoded)
            archive.addfile(about, BytesIO(encoded))
    return path


def samples(numbers: range, **others: Sequence[str]) -> dict[str, bytes | str]:
    """Pictures of these numbers under their keys, and beside each its text in `others`."""
    found = dict[str, bytes | str]()
    for at, number in enumerate(numbers):
        found[f"{number:06}.png"] = picture(number)
        found |= {f"{number:06}.{ending}": texts[at] for ending, texts in others.items()}
    return found


def hugging_face_table(
    numbers: range, labels: Sequence[int] | None, names: Sequence[str] = ("tabby", "pug")
) -> pa.Table:
    """Rows as `datasets` has them, with its record of the columns `img` and `kind`."""
    images = [{"bytes": picture(number), "path": f"{number}.png"} for number in numbers]
    columns: dict[str, object] = {
        "img": pa.array(images, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    }
    features: dict[str, object] = {"img": {"_type": "Image"}}
    if labels is not None:
        columns["kind"] = pa.array(labels, pa.int64())
        features["kind"] = {"names": [*names], "_type": "ClassLabel"}
    about = {"info": {"features": features}, "fingerprint": "0123456789abcdef"}
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(about)})


def saved(folder: Path, *tables: pa.Table) -> Path:
    """A `Dataset` as `save_to_disk` writes it, a table in each file."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{at:05}-of-{len(tables):05}.arrow" for at in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with (
            pa.OSFile(str(folder / name), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as to,
        ):
            to.write_table(table, max_chunksize=4)
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": "0123456789abcdef",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state))
    about = (tables[0].schema.metadata or {}).get(b"huggingface", b'{"info": {"features": {}}}')
    features = json.loads(about)["info"]["features"]
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def saved_splits(folder: Path, **splits: Sequence[pa.Table]) -> Path:
    """A `DatasetDict` as `save_to_disk` writes it."""
    for name, tables in splits.items():
        saved(folder / name, *tables)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [*splits]}))
    return folder


def hub(folder: Path, **files: pa.Table) -> Path:
    """Parquet files as on the Hub, a few rows in a group: `train_0` is train-00000-of-00002."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, table in files.items():
        split, number = name.rsplit("_", 1)
        pq.write_table(
            table, folder / f"data/{split}-{int(number):05}-of-00002.parquet", row_group_size=3
        )
    return folder


def check_same(one: Raw, other: Raw) -> None:
    """Two ways to read a set find the same images and labels, in the same order."""
    for first, second in ((one.train, other.train), (one.test, other.test)):
        assert first.id.equal(second.id)
        assert first.image.equal(second.image)
        assert first.label.equal(second.label)
    assert one.sha256 == other.sha256
