"""The page that people read: one file that needs no other and no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import altair as alt
import jinja2
import vl_convert

from unlabel.collapse import ADVICE, FLAT, LINE
from unlabel.report import chart, lead, leaderboard
from unlabel.report.arm import Arm, Setting
from unlabel.report.brief import Brief
from unlabel.report.chart import Chart
from unlabel.report.leaderboard import Cell, Leaderboard
from unlabel.report.measure import describe, duration, natural, number, size

TEMPLATES = Path(__file__).parent / "template"


@dataclass(frozen=True)
class Picture:
    """An image as the text of a `data:` address."""

    source: str
    description: str


@dataclass(frozen=True)
class MethodPart:
    """What the page tells of one arm."""

    id: str
    arm: Arm
    strips: tuple[tuple[str, tuple[Picture, ...]], ...]  # caption, and pictures in a row
    curves: tuple[Chart, ...]


@dataclass(frozen=True)
class SettingPart:
    """What the page tells of one setting."""

    setting: Setting
    facts: tuple[tuple[str, str], ...]
    lead: tuple[str, ...]
    leaderboard: Leaderboard
    charts: tuple[Chart, ...]
    methods: tuple[MethodPart, ...]
    measures: tuple[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...]], ...]  # by probe

    @property
    def seeds(self) -> str:
        """Over how many seeds each mean is, and whether it has an interval."""
        counts = sorted({len(arm.results) for arm in self.setting.arms})
        if counts == [1]:
            return "one seed: no interval"
        many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
        return f"{many} seeds ± 95 % interval"

    def link(self, arm: Arm) -> str:
        """The id of the arm's part on the page."""
        return next(part.id for part in self.methods if part.arm is arm)


def render(brief: Brief, settings: Sequence[Setting]) -> str:
    """The page as HTML. Raises `UserError` for pictures that cannot be read."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "number": number, "size": size}
    return environment.get_template("index.html").render(
        brief=brief,
        parts=[_setting(setting, brief) for setting in settings],
        flat=FLAT,
        line=LINE,
        advice=ADVICE,
        vega=vega(),
    )


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in the version that Altair writes for."""
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return bundle.replace("</script", "<\\/script")


def _setting(setting: Setting, brief: Brief) -> SettingPart:
    metric = brief.metric
    overview = [chart.accuracy(setting, metric), chart.cost(setting, metric)]
    return SettingPart(
        setting,
        tuple(_facts(setting, brief)),
        tuple(lead.sentences(setting, metric)),
        leaderboard.build(setting, metric),
        tuple(each for each in overview if each is not None),
        tuple(_method(setting, arm) for arm in setting.arms),
        tuple(_measures(setting)),
    )


def _facts(setting: Setting, brief: Brief) -> list[tuple[str, str]]:
    """What the numbers were made with; what differs between runs is listed."""
    results = setting.results

    def told(name: str) -> str:
        return ", ".join(sorted({str(e.about[name]) for e in results if e.about.get(name)}))

    parameters = {int(e.about["parameters"]) for e in results if e.about.get("parameters")}
    counts = {int(e.about["images"]) for e in results if e.trained and e.about.get("images")}
    seeds = sorted({each.seed for each in results})
    spent = sum(sum(arm.facts("seconds")) for arm in setting.arms)
    facts = [
        ("Dataset", setting.dataset),
        ("Trained on", ", ".join(f"{number(count, 0)} images" for count in sorted(counts))),
        (
            "Encoder",
            ", ".join(
                [setting.encoder, *(f"{number(n, 0)} parameters" for n in sorted(parameters))]
            ),
        ),
        ("Budget", brief.budget),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Runs", f"{len(results)}, trained in {duration(spent)} altogether"),
        ("Device", told("device")),
        ("Precision", told("precision")),
        ("Software", f"torch {told('torch')}" if told("torch") else ""),
        ("Commit", told("commit")),
    ]
    return [(term, text) for term, text in facts if text]


def _method(setting: Setting, arm: Arm) -> MethodPart:
    table = arm.results[0].pictures()
    strips = []
    # The order of the captions is the method's own.
    shown = zip(table["caption"], table["index"], table["png"], strict=True)
    for caption, rows in groupby(shown, key=lambda row: str(row[0])):
        strips.append((caption, tuple(_picture(*row) for row in rows)))
    id = f"{setting.dataset}/{setting.encoder}/{arm.key}".replace(" ", "_")
    return MethodPart(id, arm, tuple(strips), tuple(chart.curves(setting, arm)))


def _picture(caption: str, index: int, png: bytes) -> Picture:
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return Picture(source, f"{caption}, {index + 1}")


def _measures(
    setting: Setting,
) -> list[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...]]]:
    """Every number of every probe: the probe, then each metric's title and a cell for each arm."""
    names: dict[str, set[str]] = {}
    for each in setting.results:
        for probe, metrics in each.probes.items():
            names.setdefault(probe, set()).update(metrics)
    found = []
    for probe in sorted(names):
        rows = []
        for name in sorted(names[probe], key=natural):
            measure = describe(name)
            cells = tuple(leaderboard.cell(arm.estimate(name), measure) for arm in setting.arms)
            rows.append((measure.heading, cells))
        found.append((probe, tuple(rows)))
    return found
