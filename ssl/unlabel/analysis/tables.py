"""The tables that other programs read: equal results give equal bytes, whatever their order.

So they hold what was measured, and no times.
"""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from unlabel.analysis.arms import Comparison
from unlabel.analysis.metric import Metrics, natural

TIDY = ["budget", "dataset", "method", "variant", "seed", "probe", "metric", "value"]
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes what begins with one of these
ACCURACY = re.compile(r"knn|linear|(lowshot|finetune)_[\d.]+")
HEADS = (  # of the probes on request, one number each or two; their names group them
    *("clustering_nmi", "clustering_silhouette", "fewshot_1", "fewshot_5", "retrieval_map"),
    *("robustness_linear", "segmentation_miou"),
)
DETECTION = "detection_"  # how the numbers of that probe begin
CURVE = ["dataset", "method", "seed", "step", "epoch"]


def results(comparisons: Iterable[Comparison], metric: str) -> pd.DataFrame:
    """One row for each number of each probe of each run.

    `attrs` says what the numbers do not: the headline metric, what the metrics mean, and which
    methods are references or see labels.
    """
    comparisons = list(comparisons)
    rows = [
        [run.budget, run.dataset, run.method, run.variant, run.seed, probe, name, value]
        for comparison in comparisons
        for each in comparison.results
        for run in [each.planned]
        for probe, metrics in each.probes.items()
        for name, value in metrics.items()
    ]
    table = pd.DataFrame(rows, columns=TIDY).sort_values(TIDY, ignore_index=True)
    arms = [arm for comparison in comparisons for arm in comparison.arms]
    table.attrs = {
        "metric": metric,
        "declared": Metrics.frozen(comparisons[0].declared.declared) if comparisons else [],
        "references": sorted({arm.method for arm in arms if arm.reference}),
        "labels": sorted({arm.method for arm in arms if arm.labels}),
    }
    return table


def metrics(comparisons: Iterable[Comparison], metric: str) -> dict[str, dict[str, float]]:
    """`DATASET/ARM` -> metric -> its mean over seeds, for `dvc metrics`.

    They are the headline metric and those that people compare. NAME_interval is half the width of
    the mean's 95 % interval, where several seeds give one. `results` has all metrics.
    """
    found: dict[str, dict[str, float]] = {}
    for comparison in comparisons:
        names = _compared(comparison, metric)
        for arm in comparison.arms:
            numbers = found.setdefault(f"{comparison.dataset}/{arm.key}", {})
            for name in names:
                if mean := arm.estimate(name):
                    numbers[name] = _round(mean.mean)
                    if mean.interval is not None:
                        numbers[f"{name}_interval"] = _round(mean.interval)
    return found


def _compared(comparison: Comparison, metric: str) -> list[str]:
    """The headline metric, accuracies, effective rank; without labels, alignment and uniformity."""
    known = {name for arm in comparison.arms for name in arm.metrics}
    accuracies = {name for name in known if ACCURACY.fullmatch(name)}
    others = {"effective_rank"} if accuracies else {"effective_rank", "alignment", "uniformity"}
    others |= {name for name in known if name in HEADS or name.startswith(DETECTION)}
    return sorted({metric} | accuracies | others)


def leaderboard(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """One row for each arm: each metric's mean over seeds, and half its 95 % interval."""
    rows, names = [], set[str]()
    for comparison in comparisons:
        for arm in comparison.arms:
            row: dict[str, Any] = {"dataset": comparison.dataset, "method": arm.key}
            row["seeds"] = len(arm.results)
            for name in arm.metrics:
                if found := arm.estimate(name):
                    row |= {name: found.mean, f"{name}_interval": found.interval}
            names |= set(arm.metrics)
            rows.append(row)
    first = ["dataset", "method", "seeds"]
    rest = [f"{name}{end}" for name in sorted(names, key=natural) for end in ("", "_interval")]
    return pd.DataFrame(rows, columns=first + rest).sort_values(first, ignore_index=True)


def arms(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """One row for each arm of a study: each metric's mean, and half its 95 % interval."""
    rows, names = [], set[str]()
    for comparison in comparisons:
        for arm in comparison.arms:
            row: dict[str, Any] = {"dataset": comparison.dataset, "method": arm.method}
            row |= {"arm": arm.label, "variant": arm.variant, "seeds": len(arm.results)}
            for name in arm.metrics:
                if found := arm.estimate(name):
                    row |= {name: found.mean, f"{name}_interval": found.interval}
            names |= set(arm.metrics)
            rows.append(row)
    first = ["dataset", "method", "arm", "variant", "seeds"]
    rest = [f"{name}{end}" for name in sorted(names, key=natural) for end in ("", "_interval")]
    return pd.DataFrame(rows, columns=first + rest)


def training(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """The training logs of all runs, one below the other, for `dvc plots`."""
    logs = [
        each.log.assign(dataset=comparison.dataset, method=arm.key, seed=each.seed)
        for comparison in comparisons
        for arm in comparison.arms
        for each in arm.results
    ]
    table = pd.concat(logs, ignore_index=True)
    rest = sorted({str(name) for name in table} - set(CURVE))
    return table[CURVE + rest].sort_values(CURVE, ignore_index=True)


def comma_separated(table: pd.DataFrame) -> str:
    """The table as CSV: numbers with six significant digits, and no formulas."""
    texts = table.select_dtypes(["object", "string"])
    safe = table.assign(**{str(name): texts[name].map(_plain) for name in texts})
    text: str = safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


def _plain(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula; other values unchanged."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _round(value: float) -> float:
    return float(f"{value:.6g}")
