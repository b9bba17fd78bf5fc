"""Which stages of the workflow measure a metric."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from unlabel.params import compose


def own_probes(params: Path, probes: Iterable[str], metrics: Iterable[str]) -> list[str]:
    """The probes on request that are among a study's `probes`, or that measure its `metrics`.

    Raises `UserError` for an unknown one.
    """
    own = compose.own_probes(params)
    named = [compose.choose(params, "probe", str(name)) for name in probes]
    measuring = [compose.owner(metric, own) for metric in metrics]
    return [name for name in own if name in {*named, *measuring}]


def needs(
    metrics: Iterable[str], targets: Sequence[str], own: Sequence[str] = ()
) -> dict[str, bool]:
    """Does each of a run's later stages (probe, finetune, transfer) make any of these metrics?

    The probes `own` are stages too, and are needed in any case.
    """
    kinds = [*own, *(_stage(name, targets, own) for name in metrics)]
    return {stage: stage in kinds for stage in ("probe", "finetune", "transfer", *own)}


def _stage(metric: str, targets: Sequence[str], own: Sequence[str]) -> str:
    if probe := compose.owner(metric, own):
        return probe
    if metric.startswith(("log.", "run.")):
        return "pretrain"
    if metric.startswith(("finetune_", "validation_finetune_")):
        return "finetune"
    return "transfer" if metric.startswith(tuple(f"{each}_" for each in targets)) else "probe"
