"""The study that is built: what `params/workflow.yaml` and `--config` make of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from unlabel.params import command_line
from unlabel.params.study import Study
from unlabel.workflow.plan import Plan


class Asked(NamedTuple):
    """A study, its budget, and why probes that were asked for are left out."""

    study: Study
    budget: str
    left_out: list[str]


def asked(plan: Plan, study: Study, config: Mapping[str, Any], budget: str = "") -> Asked:
    """The study on the dataset, with the encoder and the probes, that the plan and `config` say.

    Its budget is the one that is typed, or its own, or that of `config`. Raises `UserError` if it
    cannot run so.
    """
    budget = budget or study.budget or command_line.named(config, "budget")
    probes = command_line.probes(config)
    found, left_out = plan.probes.asked(plan.for_dataset(study, budget), probes, budget)
    return Asked(found, budget, left_out)
