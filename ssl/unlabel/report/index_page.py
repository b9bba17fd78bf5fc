"""The leaderboard page: the table of all methods, then each method's pictures and curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.report import chart, fitted, html, image_counts, leaderboard, sections, summary
from unlabel.report.chart import Chart
from unlabel.report.image_counts import ImageCounts
from unlabel.report.leaderboard import Leaderboard
from unlabel.report.sections import Part, Picture

MANY = 8  # with more arms than this, each arm's pictures and curves are collapsed


@dataclass(frozen=True)
class MethodPart:
    """One arm's pictures and training curves."""

    id: str
    arm: Arm
    strips: tuple[tuple[str, tuple[Picture, ...]], ...]  # (caption, row of pictures)
    curves: tuple[Chart, ...]


@dataclass(frozen=True)
class ComparisonPart(Part):
    """One comparison's section of the page."""

    summary: tuple[str, ...]
    leaderboard: Leaderboard
    charts: tuple[Chart, ...]
    methods: tuple[MethodPart, ...]
    images: ImageCounts
    fitted: tuple[str, ...]  # what was left out of the study, or changed, for these images

    @property
    def folded(self) -> bool:
        """Whether the methods' pictures and curves start collapsed."""
        return len(self.methods) > MANY

    def link(self, arm: Arm) -> str:
        """The HTML id of the arm's section."""
        return next(part.id for part in self.methods if part.arm is arm)


def render(study: FrozenStudy, comparisons: Sequence[Comparison], prepared: Path) -> str:
    """The page as HTML. `prepared` is the folder of all prepared datasets.

    Raises `UserError` if a picture, or what is known of a dataset, cannot be read.
    """
    shown = [_part(comparison, study, prepared) for comparison in comparisons]
    return html.render("index.html", study=study, parts=shown)


def _part(comparison: Comparison, study: FrozenStudy, prepared: Path) -> ComparisonPart:
    metric = study.metric
    overview = [chart.accuracy(comparison, metric), chart.cost(comparison, metric)]
    return ComparisonPart(
        comparison,
        sections.facts(comparison, study),
        sections.measures(comparison),
        sections.settings(comparison),
        tuple(summary.sentences(comparison, metric)),
        leaderboard.build(comparison, metric),
        tuple(each for each in overview if each is not None),
        tuple(method_part(comparison, arm) for arm in comparison.arms),
        image_counts.read(prepared / comparison.dataset / "report.json"),
        tuple(fitted.sentences(study, comparison)),
    )


def method_part(comparison: Comparison, arm: Arm) -> MethodPart:
    """The pictures and training curves of an arm."""
    table = arm.results[0].pictures()
    strips = []
    # Captions keep the order in which the method shows them.
    shown = zip(table["caption"], table["index"], table["png"], strict=True)
    for caption, rows in groupby(shown, key=lambda row: str(row[0])):
        drawn = (sections.picture(f"{caption}, {index + 1}", png) for _, index, png in rows)
        strips.append((caption, tuple(drawn)))
    id = f"{comparison.dataset}/{comparison.encoder}/{arm.key}".replace(" ", "_")
    return MethodPart(id, arm, tuple(strips), tuple(chart.curves(comparison, arm)))
