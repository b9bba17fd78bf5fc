"""What targets need is counted once, however many studies share it."""

import shutil

import yaml

from support.models import PARAMS
from support.project import LOOKED
from unlabel.workflow.plan import Plan
from unlabel.workflow.targets import needed


def test_a_run_that_two_studies_may_need_is_counted_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = shutil.copytree(PARAMS, "params")
    for name in ("mine", "yours"):
        (tmp_path / f"params/study/{name}.yaml").write_text(yaml.safe_dump(LOOKED))
    monkeypatch.delenv("UNLABEL_PLAN", raising=False)
    plan = Plan.current(tmp_path / params, tmp_path / "frozen")
    monkeypatch.delenv("UNLABEL_PLAN", raising=False)
    one = needed(plan, ["reports/study/mine.html"], "tiny")
    both = needed(plan, ["reports/study/mine.html", "reports/study/yours.html"], "tiny")
    assert {run.seed for run in one.possible} == {3, 4}
    assert len(one.possible) == len(set(one.possible))
    assert sorted(both.possible) == sorted(one.possible)
