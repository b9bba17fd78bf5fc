"""Trainings that are planned only because their images are prepared again."""

import json

import pytest

from support.project import LOOKED, digests, snakemake, with_one_study
from unlabel.errors import UserError
from unlabel.run import Run
from unlabel.workflow import prepared_again
from unlabel.workflow.engine import records
from unlabel.workflow.engine.planned_jobs import Job
from unlabel.workflow.engine.reasons import INPUTS

PAGE = "reports/study/test.html"
PREPARED = [f"data/prepared/digits/{name}" for name in ("train.arrow", "test.arrow", "report.json")]
ADVICE = "6 trainings are done again only because the images are prepared again"
MADE = ("--config", "looks=made", "--", PAGE)


def prepared_by_older_code(folder) -> None:
    """As if the images were prepared before the code that prepares them has changed."""
    for target in PREPARED:
        place = folder / records.place(records.RECORDS, target)
        record = json.loads(place.read_text())
        record["params"] = [each.replace("'code': '", "'code': 'f") for each in record["params"]]
        place.write_text(json.dumps(record))


def test_the_same_images_prepared_again_in_a_call_of_their_own_train_nothing(tmp_path):
    folder = with_one_study(tmp_path, LOOKED)
    snakemake(folder, "--cores", "2", "--config", "looks=1", "--", PAGE)
    trained = digests(folder)
    prepared_by_older_code(folder)
    printed = snakemake(folder, "-n", "--config", "looks=1", "--", PAGE)
    assert ADVICE in printed
    assert f"make {PREPARED[-1]} first, in a call of its own" in printed
    for look in ((), ("-n",)):
        printed = snakemake(folder, "--cores", "2", *look, *MADE, fails=True)
        assert "error: looks=made trains nothing, but 6 of the runs would be trained" in printed
        assert f"/0: {INPUTS}. {ADVICE}" in printed
        assert "Traceback" not in printed
    assert digests(folder) == trained
    snakemake(folder, "--cores", "1", PREPARED[-1])
    assert "Nothing to be done" in snakemake(folder, "--cores", "2", *MADE)
    assert digests(folder) == trained


def jobs(*reasons: str, prepared: tuple[str, ...] = ("its code changed",)) -> list[Job]:
    run = Run("tiny", "digits", "simclr", "base", 0)
    return [
        Job("prepare", "digits", None, prepared),
        Job("pretrain_simclr", "simclr", run, reasons),
        Job("features", "simclr", run, (INPUTS,)),
    ]


def test_only_trainings_that_nothing_else_needs_are_spared():
    said = prepared_again.advice(jobs(INPUTS))
    assert said.startswith("1 training is done again only because")
    assert "make data/prepared/digits/report.json first" in said
    assert prepared_again.advice(jobs(INPUTS, prepared=("missing",)))
    assert not prepared_again.advice(jobs("missing"))
    assert not prepared_again.advice(jobs(INPUTS, "temperature: 0.2 → 0.3"))
    assert not prepared_again.advice(jobs(INPUTS, prepared=()))
    assert not prepared_again.advice(jobs())


def test_only_looks_made_refuses_trainings():
    prepared_again.check(1, jobs("missing"))
    prepared_again.check(None, jobs("missing"))
    prepared_again.check("made", jobs())
    with pytest.raises(UserError, match=r"trained, such as tiny/digits/simclr/base/0: missing$"):
        prepared_again.check("made", jobs("missing"))
