"""The leaderboard as plain text, for a terminal."""

from collections.abc import Sequence

import pandas as pd

from unlabel.analysis.estimate import estimate
from unlabel.analysis.metric import Measure, Metrics
from unlabel.units import DASH

COLUMNS = {
    "knn": "kNN",
    "linear": "linear",
    "lowshot_1": "1 %",
    "lowshot_10": "10 %",
    "finetune_1": "tuned 1 %",
    "finetune_10": "tuned 10 %",
    "finetune_100": "tuned 100 %",
    "fewshot_1": "1 shot",
    "fewshot_5": "5 shots",
    "retrieval_map": "mAP",
    "clustering_accuracy": "k-means",
    "robustness_linear": "corrupted",
    "segmentation_miou": "mIoU",
}
GAP = "  "


def leaderboard(results: pd.DataFrame, width: int) -> str:
    """One table per dataset, best first, folded to at most `width` characters if possible.

    `results` is the table that `tables.results` makes.
    """
    headline = results.attrs.get("metric", "linear")
    metrics = Metrics.of(results.attrs.get("declared", ()))
    own = {} if headline in COLUMNS else {headline: metrics.describe(headline).title}
    names = own | COLUMNS
    names = {name: title for name, title in names.items() if (results["metric"] == name).any()}
    blocks = []
    for dataset, part in results.groupby("dataset"):
        arms = _ranked(part, metrics.describe(headline), results.attrs)
        columns = [["method", *arms.values()]]
        for name, title in names.items():
            measure = metrics.describe(name)
            columns.append([title, *(_shown(part, arm, measure) for arm in arms)])
        tables = [aligned(each) for each in _folded(columns, width)]
        blocks.append(f"{dataset}\n" + "\n\n".join(tables) + "\n")
    counts = results.groupby(["dataset", "method", "variant"])["seed"].nunique()
    seeds = " to ".join(map(str, sorted({counts.min(), counts.max()})))
    spread = "one seed: no interval" if seeds == "1" else f"mean ± 95 % interval over {seeds} seeds"
    accuracies = any(name in COLUMNS for name in names)
    what = "accuracy (%) on the test split" if accuracies else "on the validation split"
    if accuracies and headline.startswith("validation_"):
        what += ", and on the validation split where a heading says so"
    return "\n".join([*blocks, f"{what}, {spread}"])


Arm = tuple[str, str]  # method and variant


def _ranked(part: pd.DataFrame, headline: Measure, about: dict) -> dict[Arm, str]:
    """The arms with their names: best first, references last."""
    of_headline = part[part["metric"] == headline.name]
    means = of_headline.groupby(["method", "variant"])["value"].mean()
    place = {arm: -headline.sign * mean for arm, mean in means.items()}
    arms: list[Arm] = sorted({*zip(part["method"], part["variant"], strict=True)})
    references, labels = about.get("references", []), about.get("labels", [])
    arms.sort(key=lambda arm: (arm[0] in references, place.get(arm, float("inf"))))
    return {
        (method, variant): method
        + (f" {variant}" if variant != "base" else "")
        + (" (labels)" if method in labels else "")
        for method, variant in arms
    }


def _shown(part: pd.DataFrame, arm: Arm, measure: Measure) -> str:
    method, variant = arm
    chosen = (
        (part["method"] == method) & (part["variant"] == variant) & (part["metric"] == measure.name)
    )
    found = estimate(part.loc[chosen, "value"].tolist())
    if found is None:
        return DASH
    if found.interval is None:
        return measure.write(found.mean)
    return f"{measure.write(found.mean)} ±{measure.write_interval(found.interval, found.mean):>4}"


def _folded(columns: Sequence[list[str]], width: int) -> list[list[list[str]]]:
    """Split the columns into tables of at most `width`; each repeats the first column."""
    first, *rest = columns
    tables = [[first]]
    for column in rest:
        if len(tables[-1]) > 1 and _width([*tables[-1], column]) > width:
            tables.append([first])
        tables[-1].append(column)
    return tables


def _width(columns: Sequence[list[str]]) -> int:
    return sum(max(map(len, column)) + len(GAP) for column in columns)


def aligned(columns: Sequence[list[str]], left: int = 1) -> str:
    """A table from columns that start with their heading; the first `left` are left-aligned."""
    cells = [
        [cell.ljust(width) if number < left else cell.rjust(width) for cell in column]
        for number, column in enumerate(columns)
        for width in [max(map(len, column))]
    ]
    lines = [GAP.join(row).rstrip() for row in zip(*cells, strict=True)]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])
