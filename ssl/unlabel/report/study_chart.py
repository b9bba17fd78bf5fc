"""The chart of a study: one metric over the arms, one line per method."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.metric import Measure, capital
from unlabel.report import chart
from unlabel.report.chart import GREY, SCALE, Chart
from unlabel.run import BASE

# Distinct for colour-blind readers, on white and on black; the shapes do the same in greyscale.
COLOURS = ["#2f78b7", "#d0701c", "#2a9461", "#b8489a", "#a8870f", "#3a9fb8", "#c9473a", "#7d68c4"]
SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-left",
    "triangle-right",
]
LABEL = re.compile(r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?:(?=\s|%)\s*(.*))?")
LOG = 8  # an axis is logarithmic if its largest number is more than 8 times its smallest
CROWDED = 0.03  # share of the axis; if numbers are closer than this, they are spaced equally


@dataclass(frozen=True)
class Axis:
    """How the arms' labels are placed: as numbers on a scale, equally spaced, or as names."""

    kind: str  # "scale", "order" or "names"
    labels: tuple[str, ...]
    numbers: dict[str, float]
    series: dict[str, str]  # label -> the text after its number; each such text is its own line
    log: bool = False

    def shown(self, label: str) -> str:
        """The text of an arm's tick."""
        return f"{self.numbers[label]:g}" if len(set(self.series.values())) > 1 else label


def axis(labels: Sequence[str]) -> Axis:
    """Choose an axis for these labels."""
    found = {label: LABEL.fullmatch(label) for label in labels}
    numbers = {label: float(match[1]) for label, match in found.items() if match}
    if len(labels) < 2 or not all(math.isfinite(numbers.get(each, math.nan)) for each in labels):
        return Axis("names", tuple(labels), {}, {})
    series = {label: match[2] or "" for label, match in found.items() if match}
    labels = sorted(labels, key=lambda label: numbers[label])
    values = sorted(set(numbers.values()))
    log = values[0] > 0 and values[-1] > LOG * values[0]
    places = [math.log(value) if log else value for value in values]
    gaps = [b - a for a, b in pairwise(places)]
    crowded = bool(gaps) and min(gaps) < CROWDED * (places[-1] - places[0])
    return Axis("order" if crowded else "scale", tuple(labels), numbers, series, log)


def by_arm(comparison: Comparison, metric: str, study: FrozenStudy) -> Chart | None:
    """A metric of each arm: mean, interval and every seed. None if no arm has the metric."""
    measure = comparison.describe(metric)
    crossed = [arm for arm in comparison.arms if not alone(arm, study)]
    crossed = [arm for arm in crossed if arm.estimate(metric)]
    if not crossed:
        return None
    if {arm.label for arm in crossed} == {BASE}:
        return chart.accuracy(comparison, metric)
    labels = dict.fromkeys(arm.label for arm in crossed)
    placed = axis(list(labels))
    methods = list(dict.fromkeys(arm.method for arm in crossed))
    rows, seeds = _rows(crossed, measure, placed, methods)
    draw = _named if placed.kind == "names" else _lines
    title = study.axis or "arm"
    layers = [
        *_levels(comparison, study, measure, placed),
        *draw(rows, seeds, measure, placed, title),
    ]
    height = 300 if placed.kind != "names" else max(150, 16 * len(rows) + 12 * len(labels))
    words = "; ".join(f"{row['method']}, {row['arm']}: {row['shown']}" for row in rows)
    spec = chart.finish(layers, height)
    scale = {"domain": methods}
    encoding = {
        "color": {**scale, "range": [COLOURS[at % len(COLOURS)] for at in range(len(methods))]},
        "shape": {**scale, "range": [_shape(at) for at in range(len(methods))]},
    }
    _colour(spec, encoding, len(methods) > 1)
    description = f"{measure.heading} by {title}: {words}"
    return Chart(capital(measure.title), description, spec)


def _shape(at: int) -> str:
    """The shape of a method: another one than that of each method of the same colour."""
    return SHAPES[(at + at // len(COLOURS)) % len(SHAPES)]


def alone(arm: Arm, study: FrozenStudy) -> bool:
    """Whether this is a reference method that belongs to no arm."""
    return arm.method in study.references and arm.label == BASE


def _rows(
    arms: Sequence[Arm], measure: Measure, placed: Axis, methods: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One row per arm and one per seed, in the displayed unit."""
    rows, seeds = [], []
    for arm in sorted(arms, key=lambda arm: placed.labels.index(arm.label)):
        found = arm.estimate(measure.name)
        assert found is not None
        half = found.interval
        around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
        row = {
            "method": arm.method,
            "arm": arm.label,
            "series": placed.series.get(arm.label, ""),
            "x": _place(arm.label, placed, methods.index(arm.method), len(methods)),
            "shown": f"{measure.write(found.mean)}{around}{measure.suffix}",
        }
        seeds += [row | {"value": measure.scaled(v)} for v in arm.values(measure.name).values()]
        ends = {"mean": found.mean, "low": found.low, "high": found.high}
        rows.append(row | {name: measure.scaled(value) for name, value in ends.items()})
    return rows, seeds


def _place(label: str, placed: Axis, at: int, of: int) -> float:
    """The position of an arm. Methods are shifted slightly, so that none hides another."""
    if placed.kind == "names":
        return float(placed.labels.index(label))
    beside = (at - (of - 1) / 2) * 0.008
    number, numbers = placed.numbers[label], sorted(set(placed.numbers.values()))
    if placed.kind == "order":
        return numbers.index(number) + beside * (len(numbers) - 1)
    if placed.log:
        return float(number * (max(numbers) / min(numbers)) ** beside)
    return number + beside * (max(numbers) - min(numbers))


def _lines(
    rows: list[dict[str, Any]],
    seeds: list[dict[str, Any]],
    measure: Measure,
    placed: Axis,
    title: str,
) -> list[alt.Chart]:
    """The arms from left to right, joined by a line per method."""
    at = {_place(label, placed, 0, 1): placed.shown(label) for label in placed.labels}
    names = "".join(
        f"abs(datum.value - {x!r}) < 1e-9 ? {json.dumps(name)} : " for x, name in at.items()
    )
    marks: dict[str, Any] = {"values": list(at), "labelExpr": f"{names}''"}
    log = {"type": "log"} if placed.log else {"zero": False}
    scale = alt.Scale(nice=False, padding=16, **log)
    x = alt.X("x:Q", title=title, scale=scale).axis(grid=False, **marks)
    y = alt.Y("low:Q", title=measure.heading, scale=SCALE).axis(tickCount=6)
    base = alt.Chart(pd.DataFrame(rows)).encode(x=x)
    line = base.mark_line(strokeWidth=2)
    series = list(dict.fromkeys(row["series"] for row in rows))
    if len(series) > 1:
        legend = alt.Legend(
            orient="top", title=None, labelExpr="datum.label == '' ? 'default' : datum.label"
        )
        line = line.encode(strokeDash=alt.StrokeDash("series:N", sort=series, legend=legend))
    each = alt.Chart(pd.DataFrame(seeds)).mark_point(size=14, opacity=0.55, filled=True)
    return [
        each.encode(x=x, y=alt.Y("value:Q", scale=SCALE)),
        base.mark_rule(strokeWidth=1.5).encode(y=y, y2="high:Q"),
        line.encode(y="mean:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y="mean:Q", tooltip=["method", "arm", "shown"]
        ),
    ]


def _named(
    rows: list[dict[str, Any]],
    seeds: list[dict[str, Any]],
    measure: Measure,
    placed: Axis,
    title: str,
) -> list[alt.Chart]:
    """The arms one below the other, as names need room; within an arm, its methods likewise."""
    order = list(placed.labels)
    y = alt.Y("arm:N", sort=order, title=None).axis(labelLimit=170, ticks=False, domain=False)
    beside = alt.YOffset("method:N", sort=list(dict.fromkeys(row["method"] for row in rows)))
    x = alt.X("low:Q", title=measure.heading, scale=SCALE).axis(tickCount=6)
    base = alt.Chart(pd.DataFrame(rows)).encode(y=y, yOffset=beside)
    each = alt.Chart(pd.DataFrame(seeds)).mark_tick(thickness=1, size=8, opacity=0.7)
    return [
        each.encode(x=alt.X("value:Q", scale=SCALE), y=y, yOffset=beside),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x="mean:Q", tooltip=["method", "arm", "shown"]
        ),
    ]


def _levels(
    comparison: Comparison, study: FrozenStudy, measure: Measure, placed: Axis
) -> list[alt.Chart]:
    """A dashed line for each reference method that belongs to no arm."""
    layers = []
    for at, arm in enumerate(arm for arm in comparison.arms if alone(arm, study)):
        if not (found := arm.estimate(measure.name)):
            continue
        data = pd.DataFrame({"level": [measure.scaled(found.mean)], "name": [arm.method]})
        base = alt.Chart(data)
        rule = base.mark_rule(strokeDash=[4, 3])
        text = base.mark_text(align="left", dx=3, dy=0 if placed.kind == "names" else -7).encode(
            text="name:N"
        )
        if placed.kind == "names":
            layers += [
                rule.encode(x="level:Q", color=alt.value(GREY)),
                text.encode(x="level:Q", y=alt.value(6 + 12 * at), color=alt.value(GREY)),
            ]
        else:
            layers += [
                rule.encode(y="level:Q", color=alt.value(GREY)),
                text.encode(y="level:Q", x=alt.value(0), color=alt.value(GREY)),
            ]
    return layers


def _colour(spec: dict[str, Any], scales: dict[str, dict[str, Any]], legend: bool) -> None:
    """Set the colour and shape of each layer that shows methods; the chart gets one legend."""
    shown = {"orient": "top", "title": None, "labelFontSize": 12, "symbolOpacity": 1, "columns": 4}
    for layer in spec["layer"]:
        encoding = layer["encoding"]
        if "color" in encoding:
            continue
        field = {"field": "method", "type": "nominal", "legend": shown if legend else None}
        encoding["color"] = field | {"scale": scales["color"]}
        if layer["mark"].get("type") == "point":
            encoding["shape"] = field | {"scale": scales["shape"]}
