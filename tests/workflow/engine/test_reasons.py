"""Why an output is made again, in words."""

from types import SimpleNamespace

from snakemake.jobs import Reason

from unlabel.workflow.engine.corrections import Corrections
from unlabel.workflow.engine.reasons import INPUTS, reasons

RUNS = "data/runs/tiny/digits/{}/base/{}/{}"


def said(updated: set[str], made_again: set[str]) -> tuple[str, ...]:
    why = Reason()
    why.updated_input.update(updated)
    why.updated_input_run.update(made_again)
    persistence = SimpleNamespace(corrections=Corrections(), code=lambda output: None)
    dag = SimpleNamespace(reason=lambda job: why, workflow=SimpleNamespace(persistence=persistence))
    return reasons(dag, SimpleNamespace(output=["reports/study/test.html"]))


def test_inputs_of_one_name_are_counted():
    changed = {RUNS.format("simclr", seed, "run.json") for seed in range(3)}
    changed |= {RUNS.format("moco", 0, "metrics/knn.json"), "data/prepared/digits/report.json"}
    assert said(changed, set()) == (
        "input data/prepared/digits/report.json changed",
        "input metrics/knn.json changed",
        "3 inputs run.json changed",
    )
    assert said(changed, changed) == (INPUTS,)
    assert said(set(), set()) == ("always",)
