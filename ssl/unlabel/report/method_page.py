"""The page of a method: what it does, how it trained, and what its encoder has learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unlabel.report import page, parts, portrait, site
from unlabel.report.arm import Arm, Setting
from unlabel.report.brief import Brief
from unlabel.report.measure import describe
from unlabel.report.page import MethodPart
from unlabel.report.parts import Part
from unlabel.report.portrait import Portrait


@dataclass(frozen=True)
class DatasetPart(Part):
    """What the page tells of one dataset."""

    headline: tuple[tuple[str, str], ...]  # each arm, and its headline metric
    methods: tuple[MethodPart, ...]
    portrait: Portrait
    folded: bool = False


def render(brief: Brief, settings: Sequence[Setting], method: str, prepared: Path) -> str:
    """The page as HTML.

    Raises `UserError` for a file that is missing or damaged.
    """
    own = [(setting, [arm for arm in setting.arms if arm.method == method]) for setting in settings]
    shown = [_dataset(setting, arms, brief, prepared) for setting, arms in own if arms]
    about = brief.methods[method]
    return site.render("method_page.html", brief=brief, name=method, about=about, parts=shown)


def _dataset(setting: Setting, arms: Sequence[Arm], brief: Brief, prepared: Path) -> DatasetPart:
    measure = describe(brief.metric)
    headline = []
    for arm in setting.arms:
        if found := arm.estimate(brief.metric):
            half = found.interval
            around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
            headline.append((arm.name, f"{measure.write(found.mean)}{around}{measure.unit}"))
    return DatasetPart(
        setting,
        parts.facts(setting, brief),
        parts.measures(setting),
        parts.settings(setting),
        tuple(headline),
        tuple(page.method_part(setting, arm) for arm in arms),
        portrait.portrait(setting, arms[0], prepared),
    )
