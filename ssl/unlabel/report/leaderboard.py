"""The leaderboard as rows of cells, ready for the page template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import Estimate, estimate
from unlabel.analysis.metric import Measure
from unlabel.units import DASH, duration, number, size

DETECTION = "detection_"
ON_REQUEST = (  # group, title and metric of what only some studies measure
    ("5-way, few shots", "1", "fewshot_1"),
    ("5-way, few shots", "5", "fewshot_5"),
    ("Retrieval", "mAP", "retrieval_map"),
    ("Retrieval", "recall@1", "retrieval_recall_1"),
    ("k-means", "NMI", "clustering_nmi"),
    ("k-means", "accuracy", "clustering_accuracy"),
    ("k-means", "silhouette", "clustering_silhouette"),
    ("Corrupted images", "linear", "robustness_linear"),
    ("Corrupted images", "kNN", "robustness_knn"),
    ("Segmentation", "mIoU", "segmentation_miou"),
)


@dataclass(frozen=True)
class Cell:
    """A table cell. Columns sort by `value`; cells without one come last."""

    text: str = DASH
    interval: str = ""
    value: float | str | None = None
    best: bool = False


@dataclass(frozen=True)
class Column:
    """A column: its heading, its group's heading, and how to make each arm's cell."""

    group: str
    title: str
    help: str  # the full heading, shown as a tooltip
    cell: Callable[[Arm], Cell]
    contest: int = 0  # 1: mark the highest value among the contestants; -1: the lowest
    words: bool = False  # holds words, not numbers


@dataclass(frozen=True)
class Row:
    """An arm and its cells, one per column."""

    arm: Arm
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Leaderboard:
    """The contestants' rows, then the references'. `sorted_by` is the headline metric's column.

    `order` is how it is sorted, "ascending" or "descending".
    """

    columns: tuple[Column, ...]
    sorted_by: int
    order: str
    contest: tuple[Row, ...]
    references: tuple[Row, ...]

    def kind(self, at: int) -> str:
        """The CSS classes of a column: words or number, and whether it starts a group."""
        column = self.columns[at]
        kind = "words" if column.words else "number"
        return kind if at and column.group == self.columns[at - 1].group else f"{kind} first"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The group headings, each with the number of columns it spans."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    @property
    def parts(self) -> list[tuple[str, tuple[Row, ...]]]:
        """The row groups, each with its heading."""
        parts = [("", self.contest), ("For reference", self.references)]
        return [(heading, rows) for heading, rows in parts if rows]


def build(comparison: Comparison, metric: str) -> Leaderboard:
    """The leaderboard of one comparison, best first by `metric`."""
    columns = _columns(comparison, metric)
    ranked = comparison.ranked(metric)
    rows = [Row(arm, tuple(column.cell(arm) for column in columns)) for arm in ranked]
    contestants = {arm.key for arm in comparison.contestants}
    for at, column in enumerate(columns):
        if column.contest:
            rows = _mark(rows, at, contestants, column.contest)
    headline = comparison.describe(metric)
    return Leaderboard(
        tuple(columns),
        next(at for at, column in enumerate(columns) if column.help == headline.heading),
        "descending" if headline.sign > 0 else "ascending",
        tuple(row for row in rows if not row.arm.reference),
        tuple(row for row in rows if row.arm.reference),
    )


def cell(found: Estimate | None, measure: Measure, plus: bool = False) -> Cell:
    """An estimate as a cell; a dash if there is none."""
    if found is None:
        return Cell()
    text = ("+" if plus and found.mean > 0 else "") + measure.write(found.mean)
    interval = found.interval
    half = "" if interval is None else measure.write_interval(interval, found.mean)
    return Cell(text, half, found.mean)


def _columns(comparison: Comparison, metric: str) -> list[Column]:
    frozen, few, tuned = "Frozen features", "Linear, few labels", "Fine-tuned on"
    measured = [
        (frozen, "kNN", "knn"),
        (frozen, "linear", "linear"),
        (few, "1 %", "lowshot_1"),
        (few, "10 %", "lowshot_10"),
        (tuned, "1 %", "finetune_1"),
        (tuned, "10 %", "finetune_10"),
        (tuned, "100 %", "finetune_100"),
        *ON_REQUEST,
        *(("AUROC of outliers", _other(name), name) for name in _detected(comparison)),
        ("Features", "rank", "effective_rank"),
    ]
    if metric not in [name for _, _, name in measured]:
        measured.insert(0, ("Headline", comparison.describe(metric).heading, metric))
    if not any(arm.estimate(name) for arm in comparison.arms for _, _, name in measured[:-1]):
        measured += [("Features", name, name) for name in ("alignment", "uniformity")]
    columns = [Column("", "family", "family of the method", _family, words=True)]
    for group, title, name in measured:
        if any(arm.estimate(name) for arm in comparison.arms) or name == metric:
            columns.append(_measured(group, title, comparison.describe(name)))
        if name == metric:
            columns.append(_gain(comparison, metric, group))
    if any(arm.about.tried for arm in comparison.arms):
        columns.append(TRIED)
    return [*columns, *COST]


def _detected(comparison: Comparison) -> list[str]:
    """The metrics of detecting images of other datasets."""
    names = {name for arm in comparison.arms for name in arm.metrics}
    return sorted(name for name in names if name.startswith(DETECTION))


def _other(name: str) -> str:
    return name.removeprefix(DETECTION).replace("_", " ")


def _measured(group: str, title: str, measure: Measure) -> Column:
    def found(arm: Arm) -> Cell:
        return cell(arm.estimate(measure.name), measure)

    return Column(group, title, measure.heading, found, measure.sign if measure.better else 0)


def _gain(comparison: Comparison, metric: str, group: str) -> Column:
    measure = comparison.describe(metric)
    text = f"{measure.heading}: difference from the untrained encoder with the same seed"

    def found(arm: Arm) -> Cell:
        return cell(comparison.gain(arm, metric), measure, plus=True)

    return Column(group, "vs. random", text, found)


def _family(arm: Arm) -> Cell:
    family = "" if arm.reference else arm.about.family
    return Cell(family or DASH, value=family or None)


def _cost(name: str, write: Callable[[float], str]) -> Callable[[Arm], Cell]:
    def found(arm: Arm) -> Cell:
        mean = estimate(arm.facts(name)) if arm.trained else None
        return Cell(write(mean.mean), value=mean.mean) if mean else Cell()

    return found


def _epochs(arm: Arm) -> Cell:
    epochs = arm.results[0].planned.epochs
    return Cell(number(epochs, 0), value=epochs) if arm.trained else Cell()


def _tried(arm: Arm) -> Cell:
    tried = arm.about.tried
    return Cell(str(tried), value=tried) if tried else Cell()


TRIED = Column(
    "Training",
    "settings tried",
    "settings that the study `tuning` compares, on the validation split of its own dataset",
    _tried,
)
COST = [
    Column("Training", "epochs", "training epochs", _epochs),
    Column(
        "Training", "time", "training time of one run, mean over seeds", _cost("seconds", duration)
    ),
    Column(
        "Training",
        "images/s",
        "training images per second, mean over seeds",
        _cost("images_per_second", lambda value: number(value, 0)),
    ),
    Column("Training", "memory", "peak memory, mean over seeds", _cost("peak_memory", size)),
]


def _mark(rows: Sequence[Row], at: int, contestants: set[str], sign: int) -> list[Row]:
    """Mark the best contestant of a column if at least two have a value."""
    values = {
        row.arm.key: float(value)
        for row in rows
        if row.arm.key in contestants and (value := row.cells[at].value) is not None
    }
    if len(values) < 2:
        return list(rows)
    best = sign * max(sign * value for value in values.values())
    return [
        replace(
            row, cells=(*row.cells[:at], replace(row.cells[at], best=True), *row.cells[at + 1 :])
        )
        if values.get(row.arm.key) == best
        else row
        for row in rows
    ]
