"""The page of one method: what it does, how it trained and what its encoder learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.metric import capital
from unlabel.report import encoder_charts, html, index_page, sections
from unlabel.report.encoder_charts import EncoderCharts
from unlabel.report.index_page import MethodPart
from unlabel.report.sections import Part


@dataclass(frozen=True)
class DatasetPart(Part):
    """One dataset's section of the page."""

    metric: str  # the headline metric's title
    headline: tuple[tuple[str, str], ...]  # (arm, headline metric)
    methods: tuple[MethodPart, ...]
    encoder: EncoderCharts
    folded: bool = False


def render(
    study: FrozenStudy, comparisons: Sequence[Comparison], method: str, prepared: Path
) -> str:
    """The page as HTML. Raises `UserError` for a missing or damaged file."""
    of_method = [
        (comparison, [arm for arm in comparison.arms if arm.method == method])
        for comparison in comparisons
    ]
    shown = [_dataset(comparison, arms, study, prepared) for comparison, arms in of_method if arms]
    about = study.methods[method]
    return html.render("method_page.html", study=study, name=method, about=about, parts=shown)


def _dataset(
    comparison: Comparison, arms: Sequence[Arm], study: FrozenStudy, prepared: Path
) -> DatasetPart:
    measure = study.describe(study.metric)
    headline = []
    for arm in comparison.arms:
        if found := arm.estimate(study.metric):
            half = found.interval
            around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
            headline.append((arm.name, f"{measure.write(found.mean)}{around}{measure.suffix}"))
    return DatasetPart(
        comparison,
        sections.facts(comparison, study),
        sections.measures(comparison),
        sections.settings(comparison),
        capital(measure.title),
        tuple(headline),
        tuple(index_page.method_part(comparison, arm) for arm in arms),
        encoder_charts.build(comparison, arms[0], prepared),
    )
