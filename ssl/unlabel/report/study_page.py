"""The page of a study: its question, the charts that answer it, and the verdict."""

from dataclasses import dataclass
from typing import Any

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import Estimate, estimate
from unlabel.analysis.frozen_study import BASE, FrozenStudy
from unlabel.analysis.judgement import Judgement, conditions
from unlabel.analysis.metric import capital
from unlabel.analysis.verdict import HOLDS, OPEN, JudgedClaim, seeds_needed
from unlabel.report import html, leaderboard, sections, study_chart
from unlabel.report.chart import Chart
from unlabel.report.leaderboard import Cell
from unlabel.report.sections import Part, markdown, plain
from unlabel.units import duration, number

KINDS = {HOLDS: "holds", OPEN: "open"}  # CSS class of a verdict; "fails" for all others


@dataclass(frozen=True)
class ArmTable:
    """The columns as (heading, CSS class), and each arm with its cells."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Arm, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class StudyPart(Part):
    """One dataset's section of the page."""

    charts: tuple[Chart, ...]
    table: ArmTable


def render(judgement: Judgement) -> str:
    """The page as HTML."""
    study = judgement.study
    shown = [_part(comparison, study) for comparison in judgement.comparisons]
    return html.render("study.html", study=study, parts=shown, verdict=_verdict(judgement))


def text(judgement: Judgement) -> str:
    """The page's verdict and tables as Markdown."""
    study, found = judgement.study, _verdict(judgement)
    lines = [f"# {plain(study.title)}\n\n{plain(study.question)}\n"]
    if found:
        where = "; on ".join(found["conditions"])
        said = f"{found['is']}**{found['word']}** on {plain(where)}"
        lines.append(f"> {plain(study.statement)}\n\nThe statement {said}.\n")
        names = ["claim", "dataset", "metric", "difference", "required", "seeds", "p for"]
        keys = ["says", "dataset", "measure", "effect", "margin", "seeds", "p_for", "p_against"]
        rows = [[row[key] for key in [*keys, "word"]] for row in found["rows"]]
        lines.append(markdown([*names, "p against", "on its own"], rows))
        if study.expected:
            lines.append(f"Published results: {study.expected}\n")
        if study.remark:
            lines.append(f"Remarks: {study.remark}\n")
    for comparison in judgement.comparisons:
        table = _table(comparison, study)
        rows = [
            [arm.method, *(f"{c.text} ± {c.interval}" if c.interval else c.text for c in cells)]
            for arm, cells in table.rows
        ]
        lines.append(f"## {plain(comparison.dataset)}\n")
        lines.append(markdown(["method", *(heading for heading, _ in table.columns)], rows))
    return "\n".join(lines)


def kind(word: str) -> str:
    """The CSS class of a verdict."""
    return KINDS.get(word, "fails")


def describe_conditions(condition: dict[str, Any]) -> str:
    """The conditions a verdict is valid for, in words: dataset, encoder, budget and so on."""

    def count(name: str, word: str) -> str:
        return f"{' / '.join(number(each, 0) for each in condition[name])} {word}"

    encoder = " / ".join(condition["encoder"])
    seeds = len(condition["seeds"])
    return (
        f"{condition['dataset']} with {encoder} at budget {condition['budget']}: "
        f"{count('images', 'images')}, {count('epochs', 'epochs')}, {seeds} seeds"
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
    return "< 0.001" if p < 0.001 else number(p, 3 if p < 0.1 else 2)


def _part(comparison: Comparison, study: FrozenStudy) -> StudyPart:
    charts = [study_chart.by_arm(comparison, metric, study) for metric in study.metrics]
    return StudyPart(
        comparison,
        sections.facts(comparison, study),
        sections.measures(comparison),
        sections.settings(comparison),
        tuple(each for each in charts if each is not None),
        _table(comparison, study),
    )


def _verdict(judgement: Judgement) -> dict[str, Any] | None:
    """The verdict as the template shows it; None if the study has no statement."""
    found = judgement.verdict
    if found is None:
        return None
    where = [
        describe_conditions(conditions(comparison, judgement.study))
        for comparison in judgement.comparisons
    ]
    needed = seeds_needed(judgement.claims) if found.word == OPEN else None
    return {
        "word": found.word,
        "kind": kind(found.word),
        "is": "is " if found.word == OPEN else "",
        "conditions": where,
        "many": len(where) > 1,
        "p": probability(found.p),
        "p_for": probability(found.p_for),
        "p_against": probability(found.p_against),
        "rows": [_claim(each, judgement) for each in judgement.claims],
        "needed": f"If the differences and their spread stay the same, about {needed} seeds would "
        "decide it."
        if needed
        else "",
    }


def _claim(judged: JudgedClaim, judgement: Judgement) -> dict[str, str]:
    claimed, measure = judged.claim, judgement.measure(judged.claim)
    points = " points" if measure.share else ""
    margin = number(measure.scaled(claimed.margin), 1 if measure.share else None)
    must = f"within ±{margin}" if claimed.kind == "same" else f"> {margin if claimed.margin else 0}"
    return {
        "says": claimed.says,
        "formula": claimed.formula(),
        "dataset": judged.dataset,
        "measure": " and ".join(judgement.study.describe(name).title for name in claimed.metrics),
        "effect": difference(judged.effect, measure.share, points),
        "margin": f"{must}{points if claimed.margin else ''}",
        "seeds": str(judged.effect.n),
        "p_for": probability(judged.p_for),
        "p_against": probability(judged.p_against),
        "word": judged.word,
        "kind": kind(judged.word),
    }


def _table(comparison: Comparison, study: FrozenStudy) -> ArmTable:
    """The study's metrics and the training cost of each arm."""
    columns = [(study.axis or "arm", "words", lambda arm: _label(arm, study))]
    if {arm.label for arm in comparison.arms} == {BASE}:
        columns = []
    for name in study.metrics:
        measure = study.describe(name)
        heading = capital(measure.heading)
        columns.append(
            (heading, "number", lambda arm, m=measure: leaderboard.cell(arm.estimate(m.name), m))  # type: ignore[misc]
        )
    for title, fact in (("images", "images"), ("epochs", "epochs"), ("batch", "batch")):
        columns.append((title, "number", lambda arm, f=fact: _fact(arm, f)))  # type: ignore[misc]
    columns.append(
        ("seeds", "number", lambda arm: Cell(str(len(arm.results)), "", len(arm.results)))
    )
    columns.append(("time", "number", _time))
    rows = tuple((arm, tuple(cell(arm) for *_, cell in columns)) for arm in comparison.arms)
    return ArmTable(tuple((heading, side) for heading, side, _ in columns), rows)


def _label(arm: Arm, study: FrozenStudy) -> Cell:
    if study_chart.alone(arm, study):
        return Cell()
    found = study_chart.LABEL.fullmatch(arm.label)
    return Cell(arm.label, value=float(found[1]) if found else arm.label)


def _fact(arm: Arm, name: str) -> Cell:
    first = arm.results[0]
    found = first.run_info.get("images") if name == "images" else getattr(first.planned, name)
    if not arm.trained or found is None:
        return Cell()
    return Cell(number(found, 0), value=found)


def _time(arm: Arm) -> Cell:
    mean = estimate(arm.facts("seconds")) if arm.trained else None
    return Cell(duration(mean.mean), value=mean.mean) if mean else Cell()
