"""The page of a study: its question, the charts that answer it, and the verdict."""

from dataclasses import dataclass

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import estimate
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.judged_claim import OPEN
from unlabel.analysis.judgement import Judgement
from unlabel.analysis.metric import capital
from unlabel.report import html, leaderboard, sections, study_chart, verdict_section
from unlabel.report.chart import Chart
from unlabel.report.chosen import HEADINGS, Choice, choices
from unlabel.report.leaderboard import Cell
from unlabel.report.sections import Part, markdown, plain
from unlabel.run import BASE
from unlabel.units import duration, number


@dataclass(frozen=True)
class ArmTable:
    """The columns as (heading, CSS class), and each arm with its cells."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Arm, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class StudyPart(Part):
    """One dataset's section of the page."""

    charts: tuple[Chart, ...]
    chosen: tuple[Choice, ...]  # if the study asks which settings are best
    table: ArmTable

    headings = HEADINGS


def render(judgement: Judgement) -> str:
    """The page as HTML."""
    study = judgement.study
    shown = [_part(comparison, study) for comparison in judgement.comparisons]
    verdict = verdict_section.build(judgement)
    return html.render("study.html", study=study, parts=shown, verdict=verdict)


def text(judgement: Judgement) -> str:
    """The page's verdict and tables as Markdown."""
    study = judgement.study
    lines = [f"# {plain(study.title)}\n\n{plain(study.question)}\n"]
    if found := verdict_section.build(judgement):
        where = "; on ".join(found.conditions)
        said = f"{'is ' if found.word == OPEN else ''}**{found.word}**"
        lines.append(f"> {plain(study.statement)}\n\nThe statement {said} on {plain(where)}.\n")
        names = ["claim", "verdict", "difference", "required", "no difference", "seeds"]
        keys = ["says", "word", "effect", "required", "margin", "seeds", "needed", "measure"]
        rows = [[getattr(row, key) for key in [*keys, "dataset"]] for row in found.rows]
        lines.append(markdown([*names, "seeds needed", "metric", "dataset"], rows))
        if found.stopped:
            lines.append(f"{found.stopped}\n")
        if study.expected:
            lines.append(f"Published results: {study.expected}\n")
        if study.remark:
            lines.append(f"Remarks: {study.remark}\n")
    for comparison in judgement.comparisons:
        table = _table(comparison, study)
        cells = [
            [arm.method, *(f"{c.text} ± {c.interval}" if c.interval else c.text for c in cells)]
            for arm, cells in table.rows
        ]
        lines.append(f"## {plain(comparison.dataset)}\n")
        if found_best := choices(comparison, study):
            lines.append("Chosen on the validation split:\n")
            lines.append(markdown(list(HEADINGS), [list(each.cells) for each in found_best]))
        lines.append(markdown(["method", *(heading for heading, _ in table.columns)], cells))
    return "\n".join(lines)


def _part(comparison: Comparison, study: FrozenStudy) -> StudyPart:
    charts = [study_chart.by_arm(comparison, metric, study) for metric in study.metrics]
    return StudyPart(
        comparison,
        sections.facts(comparison, study),
        sections.measures(comparison),
        sections.settings(comparison),
        tuple(each for each in charts if each is not None),
        choices(comparison, study),
        _table(comparison, study),
    )


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
