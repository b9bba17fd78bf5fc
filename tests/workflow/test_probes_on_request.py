"""Probes that no run is measured by unless somebody asks."""

import json
import re
import shutil

import pytest

from support.models import PARAMS
from support.project import snakemake
from unlabel.data.expected import Expected
from unlabel.errors import UserError
from unlabel.params import command_line, compose, measured
from unlabel.run import Run
from unlabel.workflow.plan import Plan
from unlabel.workflow.planned_probes import refusal

SHAPES, DIGITS = (Run("tiny", name, "simclr", "base", 0) for name in ("shapes", "digits"))
NEEDS = {"labels": True, "classes": 5, "masks": False}


@pytest.mark.parametrize(
    ("known", "needs", "said"),
    [
        (Expected(True, classes=5), {}, ""),
        (Expected(True), {}, ""),  # nobody knows yet
        (Expected(False), {}, "no image has a label"),
        (Expected(False), {"labels": False}, ""),
        (Expected(True, classes=1), {}, "it has one class, and 5 are needed"),
        (Expected(True, classes=4), {}, "it has 4 classes, and 5 are needed"),
        (Expected(True), {"masks": True}, "it has no masks"),
        (Expected(True, masks=True), {"masks": True}, ""),
    ],
)
def test_what_a_probe_cannot_measure_is_said(known, needs, said):
    found = refusal("fewshot", NEEDS | needs, "mine", known)
    assert found.startswith(f"the probe fewshot cannot measure mine: {said}" if said else "")
    assert bool(found) == bool(said)


def test_probes_are_asked_for_by_names_or_all_at_once():
    for asked in ("retrieval,fewshot", "retrieval, fewshot", ["retrieval", "fewshot"]):
        assert command_line.probes({"probes": asked}) == ["retrieval", "fewshot"]
    assert command_line.probes({"probes": []}) == command_line.probes({}) == []
    with pytest.raises(UserError, match="--config probes=3 is no name"):
        command_line.probes({"probes": 3})


def test_a_study_measures_what_it_names_and_what_its_metrics_need():
    own = compose.own_probes(PARAMS)
    assert not {*own} & {*compose.probes(PARAMS), "finetune"}
    assert compose.owner("validation_retrieval_map", own) == "retrieval"
    assert compose.owner("detection_digits", own) == "detection"
    assert compose.owner("linear", own) == ""
    needed = measured.needs(["fewshot_1", "linear"], [], ["fewshot"])
    assert [stage for stage, wanted in needed.items() if wanted] == ["probe", "fewshot"]
    assert not measured.needs(["fewshot_1"], [], ["fewshot"])["probe"]


def test_what_a_probe_reads_beside_its_run(tmp_path):
    plan = Plan(PARAMS, tmp_path / "frozen")
    for run in (SHAPES, DIGITS):
        plan.add(run)
    prepared = "data/prepared"
    assert plan.probes.inputs(SHAPES, "segmentation") == {
        "masks": [f"{prepared}/shapes/masks.arrow"],
        "others": [],
    }
    assert plan.masks("shapes") != plan.dataset("shapes")  # code of its own
    found = plan.probes.inputs(DIGITS, "detection")
    assert found == {"masks": [], "others": [f"{prepared}/shapes/test.arrow"]}  # not itself
    with pytest.raises(UserError, match="segmentation cannot measure digits: it has no masks"):
        plan.probes.inputs(DIGITS, "segmentation")
    first, second = (plan.probes.parameters(DIGITS, name) for name in ("retrieval", "fewshot"))
    assert first["settings"] != second["settings"]
    before = plan.of(DIGITS, "probe")
    assert "retrieval" not in (tmp_path / "frozen" / before["settings"]).read_text()


def test_what_a_probe_needs_may_depend_on_the_dataset(tmp_path):
    shutil.copytree(PARAMS, tmp_path / "params")
    recipe = tmp_path / "params/probe/detection.yaml"
    own = "${oc.select:dataset.classes,[svhn]}"  # of the datasets here, shapes alone has this
    recipe.write_text(recipe.read_text().replace("[digits, shapes]", own))
    shutil.copy(PARAMS / "dataset/digits.yaml", tmp_path / "params/dataset/kind.yaml")
    plan = Plan(tmp_path / "params", tmp_path / "frozen")
    others = []
    for run in (DIGITS, SHAPES):
        plan.add(run)
        others += plan.probes.inputs(run, "detection")["others"]
    assert others == ["data/prepared/svhn/test.arrow", "data/prepared/kind/test.arrow"]


def test_a_probe_on_request_is_a_job_of_its_own_and_reaches_the_report(copy):
    def jobs(*config: str) -> dict[str, int]:
        said = snakemake(copy, "-n", "--quiet", "rules", *(("--config", *config) if config else ()))
        found = dict(re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE))
        return {rule: int(count) for rule, count in found.items() if rule not in ("all", "total")}

    assert jobs() == {}
    assert jobs("probes=fewshot") == {"measure": 3, "report": 1, "method": 3}
    said = snakemake(copy, "-n", "--config", "probes=segmentation", fails=True)
    assert "error: the probe segmentation cannot measure digits: it has no masks" in said
    said = snakemake(copy, "-n", "--config", "probes=all")
    assert "left out: the probe segmentation cannot measure digits" in said
    said = snakemake(copy, "-n", "--config", "probes=fewshots", fails=True)
    assert "error: unknown probe 'fewshots': did you mean 'fewshot'" in said
    snakemake(copy, "--cores", "1", "reports/index.html", "--config", "probes=fewshot")
    metrics = json.loads((copy / "reports/metrics/digits/simclr.json").read_text())
    run = json.loads((copy / f"data/runs/{DIGITS.folder}/metrics/fewshot.json").read_text())
    assert metrics["fewshot_1"] == pytest.approx(run["fewshot_1"], abs=1e-6)
    assert "few shots" in (copy / "reports/index.html").read_text()
    assert jobs("probes=fewshot") == {"method": 3}
