"""Charts as Vega-Lite specifications, each with a description for screen readers."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import estimate
from unlabel.analysis.metric import Measure, capital
from unlabel.units import duration, number

BLUE, GREY = "#2f78b7", "#808790"  # distinct in greyscale print, on white and on black
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Inter, 'Helvetica Neue', Arial, sans-serif"
NOT_PLOTTED = {"seed", "step", "epoch", "lr"}  # columns of a log
KNN = "knn"  # on validation images, now and then
FIRST = [KNN, "loss", "contrastive_accuracy", "mutual_information_bound", "accuracy"]
SCALE = alt.Scale(zero=False, nice=False, padding=12)
NEAR = 0.3  # share of the axis; names of points closer than this could overlap
FEATURE_METRICS = ["effective_rank", "deviation"]


@dataclass(frozen=True)
class Point:
    """One arm in a chart, in the displayed unit. `seconds` is 0 if nothing was trained."""

    method: str
    kind: str
    mean: float
    low: float
    high: float
    shown: str
    seconds: float
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification with its heading and its description in words."""

    title: str
    description: str
    spec: dict[str, Any]


def accuracy(comparison: Comparison, metric: str) -> Chart | None:
    """The headline metric of each arm: mean, interval and every seed. None if no arm has it."""
    measure = comparison.describe(metric)
    points = _points(comparison, measure)
    if not points:
        return None
    seeds = [{"method": point.method, "value": value} for point in points for value in point.seeds]
    order = [point.method for point in points]
    y = alt.Y("method:N", sort=order, title=None).axis(labelLimit=180, ticks=False, domain=False)
    x = alt.X("low:Q", title=measure.heading, scale=SCALE).axis(tickCount=6)
    base = alt.Chart(_frame(points)).encode(y=y, color=_colour())
    each = alt.Chart(pd.DataFrame(seeds)).mark_tick(thickness=1, size=9, opacity=0.55, color=GREY)
    point = base.mark_point(filled=True, size=90, opacity=1)
    layers = [
        *_level(comparison, measure, "x"),
        each.encode(x="value:Q", y=y),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
        point.encode(x="mean:Q", tooltip=["method", "shown"]),
    ]
    words = "; ".join(f"{point.method} {point.shown}" for point in points)
    description = f"{measure.title} of each method: {words}"
    return Chart(capital(measure.title), description, finish(layers, _height(points)))


def cost(comparison: Comparison, metric: str) -> Chart | None:
    """The headline metric against training time; None if nothing was trained."""
    measure = comparison.describe(metric)
    points = [point for point in _points(comparison, measure) if point.seconds]
    if not points:
        return None
    times = [point.seconds for point in points]
    log = max(times) > 20 * min(times)
    places = _along_axis(times, log)
    per, unit = (60, "minutes") if max(times) >= 300 else (1, "seconds")
    data = _frame(
        points,
        time=[time / per for time in times],
        trained=[duration(time) for time in times],
        late=[place > 0.5 for place in places],  # puts the name on the side that has room
        name=_apart(points, places),
    )
    scale = alt.Scale(type="log") if log else alt.Scale(zero=True)
    x = alt.X("time:Q", title=f"training time of one run ({unit})", scale=scale).axis(tickCount=6)
    y = alt.Y("low:Q", title=measure.heading, scale=SCALE).axis(tickCount=6)
    base = alt.Chart(data).encode(x=x, color=_colour())
    point = base.mark_point(filled=True, size=90, opacity=1)
    name = {"y": "name:Q", "text": "method:N", "color": alt.value(GREY)}
    late, early = (base.transform_filter(alt.datum.late == truth) for truth in (True, False))
    layers = [
        *_level(comparison, measure, "y"),
        base.mark_rule(strokeWidth=2).encode(y=y, y2="high:Q"),
        point.encode(y="mean:Q", tooltip=["method", "shown", "trained"]),
    ]
    # Vega warns about a layer without points.
    if any(data["late"]):
        layers.append(late.mark_text(align="right", dx=-9).encode(**name))
    if not all(data["late"]):
        layers.append(early.mark_text(align="left", dx=9).encode(**name))
    words = "; ".join(f"{p.method} {p.shown} in {duration(p.seconds)}" for p in points)
    heading = f"{capital(measure.title)} against training time"
    return Chart(heading, f"{heading}: {words}", finish(layers, _height(points)))


def curves(comparison: Comparison, arm: Arm) -> list[Chart]:
    """The training curves of an arm: one chart per logged metric, with every seed and the mean."""
    if not arm.trained:
        return []
    log = pd.concat([each.log.assign(seed=each.seed) for each in arm.results], ignore_index=True)
    names = sorted({str(name) for name in log} - NOT_PLOTTED, key=_place)
    return [_curve(comparison, arm, log, name) for name in names if log[name].notna().any()]


def _curve(comparison: Comparison, arm: Arm, log: pd.DataFrame, name: str) -> Chart:
    measure = comparison.declared.column(name)
    data = log[["epoch", "seed", name]].dropna().rename(columns={name: "value"})
    data["value"] = [float(f"{measure.scaled(value):.4g}") for value in data["value"]]
    data["epoch"] = [float(f"{epoch:.4g}") for epoch in data["epoch"]]
    y = alt.Y("value:Q", title=None, scale=_range(comparison, measure)).axis(tickCount=4)
    base = alt.Chart(data).encode(x=alt.X("epoch:Q", title="epoch").axis(tickCount=4, format="~g"))
    mean = base.mark_line(strokeWidth=2, color=BLUE).encode(y=y.aggregate("mean"))
    seeds = base.mark_line(strokeWidth=1, opacity=0.35, color=BLUE).encode(y=y, detail="seed:N")
    layers = [seeds, mean] if len(arm.results) > 1 else [mean]
    means = data.groupby("epoch")["value"].mean()
    first, last = (number(value) for value in (means.iloc[0], means.iloc[-1]))
    words = f"{measure.heading} of {arm.name} by epoch: from {first} to {last}"
    return Chart(measure.heading, words, finish(layers, 110))


def _range(comparison: Comparison, measure: Measure) -> alt.Scale:
    """A loss gets its own scale. Other metrics share one scale, so that methods can be compared."""
    logs = [each.log for each in comparison.results]
    if measure.name.startswith("loss") or not logs:
        return alt.Scale(zero=False)
    values = pd.concat([log[measure.name] for log in logs if measure.name in log])
    values = values[np.isfinite(values)]
    if values.empty:
        return alt.Scale(zero=False)
    low, high = (measure.scaled(float(value)) for value in (values.min(), values.max()))
    # The kNN accuracy of an untrained encoder may be three quarters of the best.
    return alt.Scale(domain=[low if measure.name == KNN else min(0.0, low), high], nice=True)


def _place(name: str) -> tuple[int, str]:
    """Sort key: losses and accuracies first, metrics of the features last."""
    if name in FEATURE_METRICS:
        return len(FIRST) + 1 + FEATURE_METRICS.index(name), name
    return (FIRST.index(name) if name in FIRST else 1 if "loss" in name else len(FIRST)), name


def _points(comparison: Comparison, measure: Measure) -> list[Point]:
    """The points of all arms that have the metric, best first."""
    points = []
    for arm in comparison.ranked(measure.name):
        if (found := arm.estimate(measure.name)) is None:
            continue
        half = found.interval
        around = "" if half is None else f" ± {measure.write_interval(half, found.mean)}"
        seconds = estimate(arm.facts("seconds")) if arm.trained else None
        points.append(
            Point(
                method=arm.name,
                kind="reference" if arm.reference else "method",
                mean=measure.scaled(found.mean),
                low=measure.scaled(found.low),
                high=measure.scaled(found.high),
                shown=f"{measure.write(found.mean)}{around}{measure.suffix}",
                seconds=seconds.mean if seconds else 0.0,
                seeds=tuple(map(measure.scaled, arm.values(measure.name).values())),
            )
        )
    return points


def _frame(points: Sequence[Point], **more: Sequence[Any]) -> pd.DataFrame:
    """One row per point, with the extra columns `more` and without the lists of seeds."""
    rows = [asdict(replace(point, seeds=())) for point in points]
    return pd.DataFrame(rows).drop(columns="seeds").assign(**more)


def _along_axis(times: Sequence[float], log: bool) -> list[float]:
    """Positions on an axis of times, 0 to 1. The axis starts at 0, or is logarithmic."""
    if not log:
        return [time / max(times) for time in times]
    span = math.log(max(times) / min(times))
    return [math.log(time / min(times)) / span for time in times]


def _apart(points: Sequence[Point], places: Sequence[float]) -> list[float]:
    """The height of each point's name: that of the point, moved down to avoid other names."""
    line = 17 / _height(points) * (max(p.high for p in points) - min(p.low for p in points))
    names: list[float] = []
    for at, point in enumerate(points):  # from the top down
        height = point.mean
        for other, taken in zip(places[:at], names, strict=True):
            if abs(other - places[at]) <= NEAR:
                height = min(height, taken - line)
        names.append(height)
    return names


def _level(comparison: Comparison, measure: Measure, axis: str) -> list[alt.Chart]:
    """A dashed line at the untrained encoder's value."""
    baseline = next(filter(None, map(comparison.baseline, comparison.arms)), None)
    found = baseline and baseline.estimate(measure.name)
    if not found:
        return []
    base = alt.Chart(pd.DataFrame({"level": [measure.scaled(found.mean)]}))
    rule = base.mark_rule(strokeDash=[4, 3], color=GREY)
    if axis == "x":
        return [rule.encode(x="level:Q")]
    text = base.mark_text(align="left", dx=4, dy=-7, text="untrained", color=GREY)
    return [rule.encode(y="level:Q"), text.encode(y="level:Q", x=alt.value(0))]


def _height(rows: Sequence[object]) -> int:
    """One height for both charts of an overview."""
    return max(210, 28 * len(rows))


def _colour() -> alt.Color:
    scale = alt.Scale(domain=["method", "reference"], range=[BLUE, GREY])
    return alt.Color("kind:N", scale=scale, legend=None)


def finish(layers: Sequence[alt.Chart], height: int) -> dict[str, Any]:
    """Layer the marks into one chart that is as wide as its container, in the page's style."""
    axis = {"domainColor": GREY, "tickColor": GREY, "gridColor": GREY, "gridOpacity": 0.2}
    axis |= {"titleFontWeight": "normal", "titleFontSize": 12, "labelFontSize": 12}
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    chart = alt.LayerChart(
        layer=list(layers), width="container", height=height, autosize=fit, background="transparent"
    )
    finished = chart.configure(font=FONT, aria=False, axis=axis, text={"fontSize": 12})
    spec: dict[str, Any] = finished.configure_view(stroke=None).to_dict(validate=False)
    return spec
