"""Snakemake's records, carried with a commit: what is pulled is known to be current."""

import json
from pathlib import Path

import pytest

from support.project import planned, snakemake
from support.versions import replace
from unlabel.errors import UserError
from unlabel.workflow.engine import altered, provenance, records

OUTPUT = "data/output"


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """One output, its record, and both exported."""
    monkeypatch.chdir(tmp_path)
    write("as it was made")
    record({"rule": "prepare", "code": "make it", "params": ["1"], "job_hash": 7})
    provenance.export()
    return tmp_path


def write(content: str) -> None:
    Path(OUTPUT).parent.mkdir(exist_ok=True)
    Path(OUTPUT).write_text(content)


def record(content: dict) -> None:
    place = records.place(records.RECORDS, OUTPUT)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))


def stored() -> dict:
    return json.loads(records.place(records.RECORDS, OUTPUT).read_text())


def forget() -> None:
    """What a fresh clone has not."""
    records.place(records.RECORDS, OUTPUT).unlink()
    provenance.SEEN.unlink()


def test_a_record_comes_back_with_the_file_it_is_of(recorded, capsys):
    forget()
    provenance.compare().write()
    assert stored() == {
        "rule": "prepare", "code": "make it", "params": ["1"], "job_hash": 0, "incomplete": False,
        "sha256": altered.written(Path(OUTPUT))["sha256"],
    }  # fmt: skip
    assert "1 of 1 records restored" in capsys.readouterr().err
    provenance.compare().write()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", ["changed", "as it w", ""])
@pytest.mark.parametrize("known", [True, False])
def test_another_file_is_made_again(recorded, capsys, content, known):
    if not known:
        forget()
    write(content)
    provenance.compare().write()
    assert stored()["code"] == records.OTHER["code"]
    assert f"{OUTPUT} is not the file that provenance.json records" in capsys.readouterr().err
    with pytest.raises(UserError, match=f"{OUTPUT} is not the file that was made"):
        provenance.export()


def test_the_right_file_after_another_is_current_again(recorded):
    write("changed")
    provenance.compare().write()
    write("as it was made")
    provenance.compare().write()
    assert stored()["code"] == "make it"


def test_what_snakemake_has_made_since_is_left_alone(recorded):
    """The same bits by other code: were its record taken back, they would be made forever."""
    for content in ("as it was made", "made anew"):
        write(content)
        record({"rule": "prepare", "code": f"another way to {content}", "params": ["1"]})
        for _ in range(3):
            provenance.compare().write()
            assert stored()["code"] == f"another way to {content}"


def test_a_commit_that_was_checked_out_brings_its_records(recorded):
    first = Path("provenance.json").read_bytes()
    record({"rule": "prepare", "code": "another way", "params": ["1"]})
    provenance.export()
    Path("provenance.json").write_bytes(first)
    provenance.compare().write()
    assert stored()["code"] == "make it"


def test_the_file_of_a_running_job_is_not_judged(recorded):
    mark = records.place(records.UNFINISHED, OUTPUT)
    mark.parent.mkdir(parents=True)
    mark.touch()
    write("half of i")
    provenance.compare().write()
    assert stored()["code"] == "make it"


def test_a_damaged_memory_of_what_was_seen_costs_only_time(recorded):
    forget()
    provenance.SEEN.write_text("{")
    provenance.compare().write()
    assert stored()["code"] == "make it"


def test_a_fresh_clone_has_nothing_to_do(pulled):
    said = snakemake(pulled, "-n")
    assert "Nothing to be done" in said
    assert "records restored" in said


def test_a_damaged_provenance_is_explained_and_loses_nothing(pulled):
    (pulled / "provenance.json").write_text("{")
    before = sorted(pulled.rglob("data/**/*"))
    expected = "error: provenance.json is damaged; restore it with git, or delete it\n"
    assert expected in snakemake(pulled, "--cores", "1", fails=True)
    assert sorted(pulled.rglob("data/**/*")) == before


def test_after_a_pull_a_changed_value_reruns_just_its_jobs(pulled):
    replace(pulled / "params/probe/knn.yaml", "k: 20", "k: 10")
    assert planned(pulled) == {"probe": 3, "report": 1, "method": 3, "all": 1}


def test_damaged_files_are_made_again_and_others_not(pulled):
    runs = pulled / "data/runs/tiny/digits"
    encoder = runs / "simclr/base/0/encoder.safetensors"
    content = bytearray(encoder.read_bytes())
    content[-1] ^= 1
    encoder.write_bytes(content)
    log = runs / "rotation/base/0/log.parquet"
    log.write_bytes(log.read_bytes()[:-100])
    assert planned(pulled) == {
        "pretrain_simclr": 1, "pretrain_rotation": 1, "features": 2, "probe": 2, "finetune": 2,
        "report": 1, "method": 2, "all": 1,
    }  # fmt: skip
    (pulled / "data/prepared/digits/train.arrow").write_bytes(
        b""
    )  # the output of a rule of no input
    assert planned(pulled)["prepare"] == 1


@pytest.mark.parametrize("name", ["metrics/knn.json", "run.json", "encoder.safetensors"])
def test_an_export_with_holes_is_refused_and_names_them(pulled, monkeypatch, name):
    monkeypatch.chdir(pulled)
    provenance.compare().write()
    target = f"data/runs/tiny/digits/simclr/base/0/{name}"
    Path(target).unlink()
    before = Path("provenance.json").read_bytes()
    with pytest.raises(UserError, match=rf"holes \(1\): {target} is missing, and"):
        provenance.export()
    assert Path("provenance.json").read_bytes() == before
