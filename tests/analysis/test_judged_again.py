"""Judging may be rewritten, as long as it comes to what was published."""

from copy import deepcopy
from dataclasses import replace

import pytest

from support.made_study import CLAIMS, Study
from unlabel.analysis import frozen_study, judged_again, looks

UNSURE = {"says": "It gains 8 points", "higher": "simclr[256]", "than": "simclr[64]", "by": 0.08}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A study's record, and the study."""
    study = Study(tmp_path_factory.mktemp("study"), claims=[*CLAIMS, UNSURE])
    return study.make(), frozen_study.read(study.folder / f"{study.name}.yaml")


def test_a_record_is_judged_again_from_its_differences(published):
    record, study = published
    assert {each["word"] for each in record["claims"]} == {"holds", "open"}
    assert judged_again.same(record, study)
    longer = deepcopy(record)
    longer["claims"][0]["formula"] = "written in another way"
    assert judged_again.same(longer, study)


@pytest.mark.parametrize(
    "changes",
    [{"margin": 0.02}, {"looks": (2, 4)}, {"looks": (6, 8)}, {"claims": ()}, {"runs": ()}],
    ids=str,
)
def test_other_settings_of_judging_are_a_change(published, changes):
    record, study = deepcopy(published[0]), published[1]
    if changes == {"looks": (6, 8)}:  # it was judged at an earlier look than there is now
        record["until"] = 4
    if "runs" in changes:  # the seeds are others
        changes = {"runs": tuple(replace(each, seed=each.seed + 4) for each in study.runs)}
    if "claims" in changes:
        changes = {"claims": study.claims[:-1]}
    assert not judged_again.same(record, replace(study, **changes))


def test_other_code_of_judging_is_a_change(published, monkeypatch):
    monkeypatch.setattr(looks, "LEVEL", 0.05)
    assert not judged_again.same(*published)


@pytest.mark.parametrize("key", ["word", "low", "says", "higher", "seeds"])
def test_another_verdict_is_a_change(published, key):
    record, study = deepcopy(published[0]), published[1]
    before = record["claims"][0][key]
    record["claims"][0][key] = before * 1.01 if isinstance(before, float) else "other"
    assert not judged_again.same(record, study)


def test_a_record_that_lacks_seeds_or_claims_is_another(published):
    record, study = deepcopy(published[0]), published[1]
    record["claims"][0]["differences"] = {"0": 0.1}
    assert not judged_again.same(record, study)
    assert not judged_again.same({key: record[key] for key in ("name", "conditions")}, study)
