"""Published studies, and whether today's code and settings would make them again."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.analysis import frozen_study, judged_again
from unlabel.errors import UserError
from unlabel.params.command_line import ChosenDataset, asked
from unlabel.params.defaults import of_workflow
from unlabel.workflow.plan import Plan

STAGES = {
    "prepare": "preparing images",
    "pretrain": "training",
    "probe": "probes",
    "finetune": "fine-tuning",
    "look": "judging",
}

MARK = "> **May be out of date**"

Record = Mapping[str, Any]


def records(published: Path) -> dict[str, Record]:
    """The record of each published study, by the name of its file.

    Raises `UserError` if one is damaged.
    """
    paths = sorted(published.glob("study/*.json"))
    return {path.stem: files.read_json(path, "publish it again") for path in paths}


def changed(record: Record, params: Path, own: bool = True) -> str:
    """What has changed since a study's record was made, in words; empty if nothing has.

    Other code of judging is no change if it comes to the same verdict on the same differences.
    `own` says that the record has the study's own name. So it must be at the study's own budget,
    and on its own datasets or the one that params/workflow.yaml names instead.
    """
    before = record.get("made", {}).get("fingerprints")
    if not before:
        return "it does not say which settings and code made it"
    if "prepare" not in before:  # from before records said so: nobody knows whether it is the same
        return "it does not say which settings and code prepared its images"
    conditions = record["conditions"]
    try:
        plan, name, budget = _plan(params), record["name"], conditions[0]["budget"]
        datasets = [each["dataset"] for each in conditions]
        if absent := [each for each in datasets if not plan.datasets.exists(each)]:
            return f"its dataset {absent[0]} is not one of this project"
        usual = plan.frozen_study(name, budget)["datasets"]
        if own and (other := _other(datasets, usual, budget, plan.studies.budget(name, ""))):
            return other
        if datasets != usual:
            plan = _plan(params, "")
            if datasets != plan.frozen_study(name, budget)["datasets"]:
                plan = _plan(params, datasets[0])
        now = plan.made(name, budget)
        frozen = frozen_study.read(Path(plan.study(name, budget)["settings"]))
    except UserError as error:
        return f"it cannot be made any more ({error})"
    differ = [stage for stage in {**before, **now} if before.get(stage) != now.get(stage)]
    if differ == ["look"] and judged_again.same(record, frozen):
        return ""
    names = ", ".join(STAGES.get(stage, stage) for stage in differ)
    return f"settings or code of {names} have changed since" if names else ""


def _other(datasets: list[str], usual: list[str], budget: str, own: str) -> str:
    """What is not the study's own, in words; empty if nothing."""
    if budget != own:
        return f"it ran at budget {budget}, and the study is of budget {own}"
    if datasets != usual:
        return f"it ran on {', '.join(datasets)}, and the study is on {', '.join(usual)}"
    return ""


def marked(text: str, why: str) -> str:
    """A Markdown text that begins with the mark and `why`, and with no older one.

    It has no mark if `why` is empty.
    """
    if text.startswith(MARK):
        text = text.partition("\n")[2].lstrip("\n")
    return f"{MARK}: {why}.\n\n{text}" if why else text


@cache
def _plan(params: Path, dataset: str | None = None) -> Plan:
    """The plan of studies on a dataset; None: as params/workflow.yaml says, empty: on their own."""
    if dataset is None:
        return Plan.current(params, chosen=asked(of_workflow(params), params))
    return Plan.current(params, chosen=ChosenDataset(dataset))
