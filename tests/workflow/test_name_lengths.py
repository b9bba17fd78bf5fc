"""A run whose files could not be written is refused, and no other."""

import platform
from pathlib import Path

import pytest

from support.models import PARAMS
from unlabel import files
from unlabel.errors import UserError
from unlabel.run import Run, compared
from unlabel.workflow import name_lengths
from unlabel.workflow.plan import Plan

FULL = 171  # bytes of a variant


def run(length: int, dataset: str = "digits") -> Run:
    return Run("tiny", dataset, "simclr", "a=".ljust(length, "1"), 0)


def test_the_longest_name_fits_whatever_the_machine_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platform, "node", lambda: "h" * name_lengths.HOST)
    name_lengths.check(run(FULL), ["knn"])
    for metrics in compared([run(FULL)]):
        files.write_json(Path(metrics), {})
    with pytest.raises(UserError, match="too long for its files, by 1 of 255 bytes"):
        name_lengths.check(run(FULL + 1), ["knn"])


def test_a_log_has_the_names_of_all_parts(tmp_path):
    longest = run(FULL, dataset="d" * 61)
    name_lengths.check(longest, ["knn", "x"])
    (tmp_path / f"{longest.folder.replace('/', '-')}-knn.log").touch()
    with pytest.raises(UserError, match="by 3 of 255 bytes"):
        name_lengths.check(longest, ["knn", "robust"])


def test_it_is_refused_when_it_is_planned(tmp_path):
    settings = (
        "features.alone=64 features.batch=128 features.pairs=64 finetune.batch=64 "
        "finetune.weight_decay=0.01 method.temperature=0.2 monitor.bank=100 monitor.every=null "
        "monitor.queries=100 optimizer.lr=0.001 training.batch=64 training.epochs=3"
    )
    variant = settings.replace(" ", "+")
    with pytest.raises(UserError, match="write some of its settings into a recipe"):
        Plan(PARAMS, tmp_path / "frozen").add(Run("tiny", "digits", "simclr", variant, 0))
