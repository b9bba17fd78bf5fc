"""The verdict on a statement, and what each of its claims came to."""

from dataclasses import dataclass
from typing import Any

from unlabel.analysis.estimate import Estimate
from unlabel.analysis.judged_claim import OPEN, JudgedClaim
from unlabel.analysis.judgement import Judgement, conditions
from unlabel.analysis.verdict import IN_PART
from unlabel.report import claims_chart
from unlabel.report.chart import Chart
from unlabel.units import number

MOST = 200  # seeds; nobody waits for more


@dataclass(frozen=True)
class ClaimRow:
    """A claim as a row of a table."""

    number: int
    says: str
    formula: str
    dataset: str
    measure: str
    effect: str
    required: str
    margin: str
    seeds: str
    word: str
    kind: str
    needed: str


@dataclass(frozen=True)
class VerdictSection:
    """The verdict in words, its conditions, and a row for each claim."""

    word: str  # with the number of claims that hold, if some do
    kind: str
    conditions: tuple[str, ...]
    rows: tuple[ClaimRow, ...]
    charts: tuple[Chart, ...]
    stopped: str  # that open claims were not to get more seeds; empty if they were

    @property
    def many(self) -> bool:
        """Are there several datasets?"""
        return len(self.conditions) > 1

    @property
    def open(self) -> bool:
        """Is any claim open?"""
        return any(row.word == OPEN for row in self.rows)


def build(judgement: Judgement) -> VerdictSection | None:
    """The section of a study's page; None if the study has no statement."""
    if (found := judgement.grade) is None:
        return None
    where = [
        describe_conditions(conditions(comparison, judgement.study))
        for comparison in judgement.comparisons
    ]
    rows = [_row(at, each, judgement) for at, each in enumerate(judgement.claims, 1)]
    charts = claims_chart.build(judgement)
    return VerdictSection(
        found.text,
        kind(found.word),
        tuple(where),
        tuple(rows),
        tuple(charts),
        _stopped(judgement),
    )


def kind(word: str) -> str:
    """The CSS class of a word, of a claim or of a statement."""
    return "part" if word == IN_PART else claims_chart.kind(word)


def describe_conditions(condition: dict[str, Any]) -> str:
    """The conditions a verdict is valid for, in words: dataset, encoder, budget and so on."""

    def count(name: str, word: str) -> str:
        return f"{' / '.join(number(each, 0) for each in condition[name])} {word}"

    encoder = " / ".join(condition["encoder"])
    return (
        f"{condition['dataset']} with {encoder} at budget {condition['budget']}: "
        f"{count('images', 'images')}, {count('epochs', 'epochs')}, "
        f"{count('seeds_of_arms', 'seeds')}"
    )


def difference(effect: Estimate, share: bool, unit: str) -> str:
    """An effect as text, with its sign and interval."""
    scaled = 100 if share else 1
    mean, half = scaled * effect.mean, scaled * (effect.interval or 0.0)
    # Enough decimals for the interval, as the mean may be close to 0.
    places = 1 if share else None
    plus = "+" if mean > 0 else ""
    return f"{plus}{number(mean, places)} ± {number(half, places)}{unit}"


def probability(p: float) -> str:
    """A p-value as text, rounded to a sensible precision."""
    return "p < 0.001" if p < 0.001 else f"p = {number(p, 3 if p < 0.1 else 2)}"


def seeds_needed(needed: int | None) -> str:
    """How many seeds an open claim would take."""
    return f"more than {MOST}" if needed is None else f"about {needed}"


def _stopped(judgement: Judgement) -> str:
    study = judgement.study
    if not judgement.open or not study.until:
        return ""
    return (
        f"Judged after {study.until} seeds, as was asked for. With up to {study.looks[-1]} seeds, "
        "the open claims may still be decided."
    )


def _row(at: int, judged: JudgedClaim, judgement: Judgement) -> ClaimRow:
    claimed, measure = judged.claim, judgement.measure(judged.claim)
    points = " points" if measure.share else ""

    def amount(value: float) -> str:
        return number(measure.scaled(value), 1 if measure.share else None) + points

    same = claimed.kind == "same"
    above = amount(claimed.bound) if claimed.bound else "0"
    return ClaimRow(
        number=at,
        says=claimed.says,
        formula=claimed.formula(),
        dataset=judged.dataset,
        measure=" and ".join(judgement.study.describe(name).title for name in claimed.metrics),
        effect=difference(judged.effect, measure.share, points),
        required=f"within ±{amount(claimed.bound)}" if same else f"> {above}",
        margin=f"±{amount(judged.margin)}" if judged.margin and not same else "",
        seeds=str(judged.effect.n),
        word=judged.word,
        kind=kind(judged.word),
        needed=seeds_needed(judged.seeds_needed(MOST)) if judged.word == OPEN else "",
    )
