"""Every set of your own images may have a labelled one beside it."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from support.large_sets import hugging_face_table, samples, saved, tar
from support.models import PARAMS
from support.pixels import picture
from unlabel.data.source_state import PROBE, checksum, fingerprint
from unlabel.dataset._collection import Collection
from unlabel.dataset.huggingface import HuggingFace
from unlabel.dataset.table import Table
from unlabel.dataset.webdataset import WebDataset
from unlabel.errors import UserError

EVERY, LABELLED = range(100, 126), range(120, 160)  # six are in both


def paths(root: Path, numbers: range) -> Path:
    lines = ["image,label"]
    for number in numbers:
        root.mkdir(exist_ok=True)
        (root / f"{number}.png").write_bytes(picture(number))
        lines.append(f"{number}.png,{number % 2}")
    (root / "t.csv").write_text("\n".join(lines))
    return root / "t.csv"


def encoded(root: Path, numbers: range) -> Path:
    root.mkdir()
    images = [picture(number) for number in numbers]
    labels = [number % 2 for number in numbers]
    pq.write_table(pa.table({"image": images, "label": labels}), root / "t.parquet")
    return root / "t.parquet"


def shards(root: Path, numbers: range) -> Path:
    texts = samples(numbers, cls=[str(number % 2) for number in numbers])
    return tar(root / "train-0.tar", texts).parent


def arrow(root: Path, numbers: range) -> Path:
    return saved(root, hugging_face_table(numbers, [number % 2 for number in numbers]))


@pytest.mark.parametrize(
    ("kind", "write", "settings"),
    [
        (Table, paths, {"split": None}),
        (Table, encoded, {"split": None}),
        (WebDataset, shards, {}),
        (HuggingFace, arrow, {}),
    ],
)
def test_a_labelled_set_beside_an_unlabelled_one(
    tmp_path: Path,
    kind: Callable[..., Collection],
    write: Callable[[Path, range], Path],
    settings: dict,
) -> None:
    path, probe = write(tmp_path / "all", EVERY), write(tmp_path / "labelled", LABELLED)
    dataset = kind(path=str(path), probe_path=str(probe), size=8, **settings)
    raw, alone = dataset.load(Path()), kind(path=str(probe), size=8, **settings).load(Path())
    assert raw.classes == alone.classes
    assert (raw.train.label < 0).sum() == 20  # and six left out
    labelled = raw.train.take(raw.train.label >= 0)
    for one, other in ((labelled, alone.train), (raw.test, alone.test)):
        assert {each.numpy().tobytes() for each in one.pixels} == {
            each.numpy().tobytes() for each in other.pixels
        }
    copies = raw.notes["duplicates"]["in probe_path"]
    assert len(copies) == 6
    assert not any(name.startswith(PROBE) for name in copies)
    assert any(each.startswith("6 left out, also in probe_path: ") for each in raw.notes["summary"])
    assert dataset.expected().classes == 2

    name = {Table: "table", WebDataset: "webdataset", HuggingFace: "huggingface"}[kind]  # type: ignore[index]
    recipe = yaml.safe_load((PARAMS / f"dataset/{name}.yaml").read_text()) | settings
    recipe |= {"path": str(path), "probe_path": str(probe)}
    assert checksum(recipe) == raw.notes["files"]
    before = fingerprint(recipe)
    only = fingerprint(recipe | {"probe_path": None})
    assert only != before
    two_lines = {key: recipe[key] for key in ("_target_", "path")}
    assert fingerprint(two_lines) == only
    with pytest.raises(UserError, match="nowhere does not exist; say where your labelled images"):
        kind(path=str(path), probe_path="nowhere", **settings).expected()
