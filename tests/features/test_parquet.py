"""The features file: what was written comes back, and what is wrong is said."""

import json
import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from support.clouds import CLASSES, FACTORS, PROJECTION, SIZES, clouds, save
from unlabel.errors import UserError
from unlabel.features import parquet, tables
from unlabel.features.split import Features, Views


def test_features_come_back_as_they_were_written(tmp_path):
    measured = clouds()
    back = parquet.read(*save(tmp_path, measured))
    for name in SIZES:
        for there, here in zip(getattr(back, name), getattr(measured, name), strict=True):
            assert torch.equal(there, here)
    assert back.views.keys() == measured.views.keys()
    for name, views in measured.views.items():
        for there, here in zip(back.views[name], views, strict=True):
            assert there is here is None or torch.equal(there, here)
    assert (back.classes, back.factors) == (CLASSES, FACTORS)
    table = pq.read_table(tmp_path / "features.parquet")
    assert table.schema.field("h").type == pa.list_(pa.float32(), 6)
    assert table["label"].null_count == sum(size // 9 for size in SIZES.values())
    assert table["factor_hue"].null_count == sum(math.ceil(size / 7) for size in SIZES.values())
    assert set(table["split"].to_pylist()) == set(SIZES)


def test_features_in_several_row_groups_and_without_z(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "GROUP", 10_000)
    measured = clouds(projector=False)
    back = parquet.read(*save(tmp_path, measured))
    assert pq.ParquetFile(tmp_path / "features.parquet").num_row_groups > 3
    assert torch.equal(back.test.h, measured.test.h)
    assert back.test.z is None


def test_z_may_be_of_some_training_images_and_is_measured_on_these(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "GROUP", 10_000)
    measured = clouds()
    chosen = torch.randperm(400, generator=torch.Generator().manual_seed(0))[:250].sort().values
    paths = save(tmp_path, measured, projected=measured.train.id[chosen])
    assert pq.read_table(paths[0])["z"].null_count == 150
    back = parquet.read(*paths)
    assert back.train.z is None
    assert torch.equal(back.train.h, measured.train.h)
    for there, here in zip(back.projected(), measured.train.take(chosen), strict=True):
        assert torch.equal(there, here)
    assert torch.equal(back.validation.z, measured.validation.z)
    assert torch.equal(back.test.z, measured.test.z)
    fewer = replace(measured, train=measured.train.take(chosen))
    assert PROJECTION.measure(back, 3) == PROJECTION.measure(fewer, 3)
    assert torch.equal(back.to("cpu").projected().z, measured.train.z[chosen])


@pytest.mark.parametrize(("column", "row"), [("z", 600), ("h", 3)])
def test_no_other_vector_may_be_missing(tmp_path, column, row):
    paths = save(tmp_path, clouds())
    table = pq.read_table(paths[0])
    values = table[column].to_pylist()
    values[row] = None
    at = table.schema.get_field_index(column)
    table = table.set_column(at, table.field(at), pa.array(values, table.field(at).type))
    about = json.loads(table.schema.metadata[b"unlabel"])
    tables.write_tables(paths[0], iter([table]), about)
    with pytest.raises(UserError, match="not a whole features file"):
        parquet.read(*paths)


def test_equal_features_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, clouds())
    for file in ("features.parquet", "views.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def spoiled(fault: str) -> tuple[Features, tuple[str, ...]]:
    """Features with one fault, and the names of their classes."""
    measured, classes = clouds(), CLASSES
    train, test = measured.train, measured.test
    if fault == "not all finite":
        test.h[3, 2] = torch.nan
    elif fault == "image twice":
        test.id[0] = train.id[0]
    elif fault == "none in 'test'":
        test = test._replace(label=torch.full_like(test.label, -1))
    elif fault == "class 'shirt'":
        train = train._replace(label=train.label.where(train.label != 3, 0))
    elif fault == "names 3 classes":
        classes = CLASSES[:3]
    return replace(measured, train=train, test=test), classes


FAULTS = ["not all finite", "image twice", "none in 'test'", "class 'shirt'", "names 3 classes"]


@pytest.mark.parametrize("fault", FAULTS)
def test_features_that_cannot_be_measured_are_refused(tmp_path, fault):
    with pytest.raises(UserError, match=fault) as refused:
        parquet.read(*save(tmp_path, *spoiled(fault)))
    assert "\n" not in str(refused.value)


def test_files_that_are_no_features_are_refused(tmp_path):
    paths = save(tmp_path, clouds())
    with pytest.raises(UserError, match="does not exist: extract"):
        parquet.read(tmp_path / "none.parquet", paths[1])
    with pytest.raises(UserError, match="no column"):
        parquet.read(paths[1], paths[1])
    with pytest.raises(UserError, match="no column"):
        parquet.read(paths[0], paths[0])
    table = pq.read_table(paths[0])
    pq.write_table(table.slice(0, 400), tmp_path / "short.parquet")
    with pytest.raises(UserError, match="no image of the split 'validation'"):
        parquet.read(tmp_path / "short.parquet", paths[1])
    pq.write_table(table.take(list(range(649, -1, -1))), tmp_path / "back.parquet")
    with pytest.raises(UserError, match="splits in order"):
        parquet.read(tmp_path / "back.parquet", paths[1])
    pq.ParquetWriter(tmp_path / "empty.parquet", table.schema).close()
    with pytest.raises(UserError, match="no rows"):
        parquet.read(tmp_path / "empty.parquet", paths[1])
    others = ("all", Views(torch.arange(2), *torch.ones(2, 2, 5)))
    parquet.write_views(tmp_path / "other.parquet", [others], ["all"])
    with pytest.raises(UserError, match="from one encoder"):
        parquet.read(paths[0], tmp_path / "other.parquet")
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    with pytest.raises(UserError, match="not a whole features file"):
        parquet.read(*paths)
