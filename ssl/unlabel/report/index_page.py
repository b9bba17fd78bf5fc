"""The page of all methods: their leaderboard, and what each of them shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.report import chart, html, leaderboard, sections, summary
from unlabel.report.chart import Chart
from unlabel.report.leaderboard import Leaderboard
from unlabel.report.sections import Part, Picture

MANY = 8  # arms; where there are more, what each shows is folded


@dataclass(frozen=True)
class MethodPart:
    """What the page tells of one arm."""

    id: str
    arm: Arm
    strips: tuple[tuple[str, tuple[Picture, ...]], ...]  # caption, and pictures in a row
    curves: tuple[Chart, ...]


@dataclass(frozen=True)
class SettingPart(Part):
    """What the page tells of one setting."""

    summary: tuple[str, ...]
    leaderboard: Leaderboard
    charts: tuple[Chart, ...]
    methods: tuple[MethodPart, ...]

    @property
    def folded(self) -> bool:
        """Are there so many methods that what they show is unfolded one by one?"""
        return len(self.methods) > MANY

    def link(self, arm: Arm) -> str:
        """The id of the arm's part on the page."""
        return next(part.id for part in self.methods if part.arm is arm)


def render(brief: FrozenStudy, settings: Sequence[Comparison]) -> str:
    """The page as HTML. Raises `UserError` for pictures that cannot be read."""
    shown = [_setting(setting, brief) for setting in settings]
    return html.render("index.html", brief=brief, parts=shown)


def _setting(setting: Comparison, brief: FrozenStudy) -> SettingPart:
    metric = brief.metric
    overview = [chart.accuracy(setting, metric), chart.cost(setting, metric)]
    return SettingPart(
        setting,
        sections.facts(setting, brief),
        sections.measures(setting),
        sections.settings(setting),
        tuple(summary.sentences(setting, metric)),
        leaderboard.build(setting, metric),
        tuple(each for each in overview if each is not None),
        tuple(method_part(setting, arm) for arm in setting.arms),
    )


def method_part(setting: Comparison, arm: Arm) -> MethodPart:
    """An arm's pictures and curves."""
    table = arm.results[0].pictures()
    strips = []
    # The order of the captions is the method's own.
    shown = zip(table["caption"], table["index"], table["png"], strict=True)
    for caption, rows in groupby(shown, key=lambda row: str(row[0])):
        drawn = (sections.picture(f"{caption}, {index + 1}", png) for _, index, png in rows)
        strips.append((caption, tuple(drawn)))
    id = f"{setting.dataset}/{setting.encoder}/{arm.key}".replace(" ", "_")
    return MethodPart(id, arm, tuple(strips), tuple(chart.curves(setting, arm)))
