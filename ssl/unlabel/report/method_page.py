"""The page of a method: what it does, how it trained, and what its encoder has learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.report import encoder_charts, html, index_page, sections
from unlabel.report.encoder_charts import Portrait
from unlabel.report.index_page import MethodPart
from unlabel.report.sections import Part


@dataclass(frozen=True)
class DatasetPart(Part):
    """What the page tells of one dataset."""

    headline: tuple[tuple[str, str], ...]  # each arm, and its headline metric
    methods: tuple[MethodPart, ...]
    encoder_charts: Portrait
    folded: bool = False


def render(brief: FrozenStudy, settings: Sequence[Comparison], method: str, prepared: Path) -> str:
    """The page as HTML.

    Raises `UserError` for a file that is missing or damaged.
    """
    own = [(setting, [arm for arm in setting.arms if arm.method == method]) for setting in settings]
    shown = [_dataset(setting, arms, brief, prepared) for setting, arms in own if arms]
    about = brief.methods[method]
    return html.render("method_page.html", brief=brief, name=method, about=about, parts=shown)


def _dataset(
    setting: Comparison, arms: Sequence[Arm], brief: FrozenStudy, prepared: Path
) -> DatasetPart:
    measure = brief.describe(brief.metric)
    headline = []
    for arm in setting.arms:
        if found := arm.estimate(brief.metric):
            half = found.interval
            around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
            headline.append((arm.name, f"{measure.write(found.mean)}{around}{measure.suffix}"))
    return DatasetPart(
        setting,
        sections.facts(setting, brief),
        sections.measures(setting),
        sections.settings(setting),
        tuple(headline),
        tuple(index_page.method_part(setting, arm) for arm in arms),
        encoder_charts.portrait(setting, arms[0], prepared),
    )
