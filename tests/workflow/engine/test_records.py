"""Records of any output are written, and what lies beside them is no record."""

import json
import platform
from pathlib import Path

import pytest

from unlabel.workflow.engine import altered, records
from unlabel.workflow.engine.corrections import Corrections
from unlabel.workflow.engine.records import RECORDS, UNFINISHED

RUN_JSON = "data/runs/tiny/digits/simclr/base/0/run.json"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("length", range(170, 200))
def test_a_record_with_the_longest_name_is_written(length):
    target = "data/runs/".ljust(length, "x")
    Corrections(records={target: {"rule": "pretrain"}}, unfinished={target}).write()
    for place in (RECORDS, UNFINISHED):
        assert [found for found, _ in records.read(place)] == [target]
    assert json.loads(records.place(RECORDS, target).read_text()) == {"rule": "pretrain"}


@pytest.mark.parametrize("target", [RUN_JSON, "reports/index.html", "reports/results.parquet"])
def test_what_a_power_cut_left_beside_a_record_is_none(target):
    record = records.place(RECORDS, target)
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    for left in (f".{record.name}.{platform.node()}-12345.part", ".DS_Store", "é"):
        record.with_name(left).write_text('{"rule": "pre')
    assert list(records.read(RECORDS)) == [(target, record)]


def test_a_good_record_outlives_what_a_power_cut_left_beside_it():
    output = Path(RUN_JSON)
    output.parent.mkdir(parents=True)
    output.write_text("{}")
    good = {"rule": "pretrain_simclr", "params": [], **altered.written(output)}
    Corrections(records={RUN_JSON: good}).write()
    record = records.place(RECORDS, RUN_JSON)
    record.with_name(f".{record.name}.host-12345.part").write_text('{"rule": "pre')
    found = Corrections()
    altered.correct(found)
    assert found.records == {}
