"""Charts, as Vega-Lite specifications with a description for those who do not see them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import altair as alt
import pandas as pd

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.estimate import estimate
from unlabel.analysis.metric import Measure, capital
from unlabel.units import duration, number

BLUE, GREY = "#2f78b7", "#808790"  # both are told apart in grey print, and on white and on black
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Inter, 'Helvetica Neue', Arial, sans-serif"
LEFT_OUT = {"seed", "step", "epoch", "lr"}  # of a log's columns
FIRST = ["loss", "contrastive_accuracy", "mutual_information_bound", "accuracy"]
ROOM = alt.Scale(zero=False, nice=False, padding=12)
OF_FEATURES = ["effective_rank", "deviation"]


@dataclass(frozen=True)
class Point:
    """An arm in a chart, in the unit that is shown; `seconds` is 0 where nothing was trained."""

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
    """A specification, the heading above it and what it shows in words."""

    title: str
    description: str
    spec: dict[str, Any]


def accuracy(setting: Comparison, metric: str) -> Chart:
    """The headline metric of each arm, with its interval and each seed."""
    measure = setting.describe(metric)
    points = _points(setting, measure)
    seeds = [{"method": point.method, "value": value} for point in points for value in point.seeds]
    order = [point.method for point in points]
    y = alt.Y("method:N", sort=order, title=None).axis(labelLimit=180, ticks=False, domain=False)
    x = alt.X("low:Q", title=measure.heading, scale=ROOM).axis(tickCount=6)
    base = alt.Chart(_frame(points)).encode(y=y, color=_colour())
    each = alt.Chart(pd.DataFrame(seeds)).mark_tick(thickness=1, size=9, opacity=0.55, color=GREY)
    point = base.mark_point(filled=True, size=90, opacity=1)
    layers = [
        *_level(setting, measure, "x"),
        each.encode(x="value:Q", y=y),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
        point.encode(x="mean:Q", tooltip=["method", "shown"]),
    ]
    words = "; ".join(f"{point.method} {point.shown}" for point in points)
    description = f"{measure.title} of each method: {words}"
    return Chart(capital(measure.title), description, finish(layers, _height(points)))


def cost(setting: Comparison, metric: str) -> Chart | None:
    """The headline metric against the time to train; None where nothing was trained."""
    measure = setting.describe(metric)
    points = [point for point in _points(setting, measure) if point.seconds]
    if not points:
        return None
    times = [point.seconds for point in points]
    middle = (min(times) + max(times)) / 2
    per, unit = (60, "minutes") if max(times) >= 300 else (1, "seconds")
    data = _frame(
        points,
        time=[time / per for time in times],
        trained=[duration(time) for time in times],
        late=[time > middle for time in times],  # the name stands where there is room for it
        name=_apart(points),
    )
    scale = alt.Scale(type="log") if max(times) > 20 * min(times) else alt.Scale(zero=True)
    x = alt.X("time:Q", title=f"time to train one run, {unit}", scale=scale).axis(tickCount=6)
    y = alt.Y("low:Q", title=measure.heading, scale=ROOM).axis(tickCount=6)
    base = alt.Chart(data).encode(x=x, color=_colour())
    point = base.mark_point(filled=True, size=90, opacity=1)
    name = {"y": "name:Q", "text": "method:N", "color": alt.value(GREY)}
    late, early = (base.transform_filter(alt.datum.late == truth) for truth in (True, False))
    layers = [
        *_level(setting, measure, "y"),
        base.mark_rule(strokeWidth=2).encode(y=y, y2="high:Q"),
        point.encode(y="mean:Q", tooltip=["method", "shown", "trained"]),
    ]
    # Vega warns of a layer without a point.
    if any(data["late"]):
        layers.append(late.mark_text(align="right", dx=-9).encode(**name))
    if not all(data["late"]):
        layers.append(early.mark_text(align="left", dx=9).encode(**name))
    words = "; ".join(f"{p.method} {p.shown} in {duration(p.seconds)}" for p in points)
    heading = f"{capital(measure.title)} against training time"
    return Chart(heading, f"{heading}: {words}", finish(layers, _height(points)))


def curves(setting: Comparison, arm: Arm) -> list[Chart]:
    """How each measure of an arm's training went, each seed and their mean."""
    if not arm.trained:
        return []
    log = pd.concat([each.log.assign(seed=each.seed) for each in arm.results], ignore_index=True)
    names = sorted({str(name) for name in log} - LEFT_OUT, key=_place)
    return [_curve(setting, arm, log, name) for name in names if log[name].notna().any()]


def _curve(setting: Comparison, arm: Arm, log: pd.DataFrame, name: str) -> Chart:
    measure = setting.declared.column(name)
    data = log[["epoch", "seed", name]].dropna().rename(columns={name: "value"})
    data["value"] = [float(f"{measure.scaled(value):.4g}") for value in data["value"]]
    data["epoch"] = [float(f"{epoch:.4g}") for epoch in data["epoch"]]
    y = alt.Y("value:Q", title=None, scale=_range(setting, measure)).axis(tickCount=4)
    base = alt.Chart(data).encode(x=alt.X("epoch:Q", title="epoch").axis(tickCount=4, format="~g"))
    mean = base.mark_line(strokeWidth=2, color=BLUE).encode(y=y.aggregate("mean"))
    seeds = base.mark_line(strokeWidth=1, opacity=0.35, color=BLUE).encode(y=y, detail="seed:N")
    layers = [seeds, mean] if len(arm.results) > 1 else [mean]
    means = data.groupby("epoch")["value"].mean()
    first, last = (number(value) for value in (means.iloc[0], means.iloc[-1]))
    words = f"{measure.heading} of {arm.name} by epoch: from {first} to {last}"
    return Chart(measure.heading, words, finish(layers, 110))


def _range(setting: Comparison, measure: Measure) -> alt.Scale:
    """Losses have a scale each; what methods can be compared by has one for all of them."""
    logs = [each.log for each in setting.results]
    if measure.name.startswith("loss") or not logs:
        return alt.Scale(zero=False)
    values = pd.concat([log[measure.name] for log in logs if measure.name in log])
    low, high = (measure.scaled(float(value)) for value in (values.min(), values.max()))
    return alt.Scale(domain=[min(0.0, low), high], nice=True)


def _place(name: str) -> tuple[int, str]:
    """Losses and their measures first, what is known of the features last."""
    if name in OF_FEATURES:
        return len(FIRST) + 1 + OF_FEATURES.index(name), name
    return (FIRST.index(name) if name in FIRST else 0 if "loss" in name else len(FIRST)), name


def _points(setting: Comparison, measure: Measure) -> list[Point]:
    """Of each arm that has the measure, best first."""
    points = []
    for arm in setting.ranked(measure.name):
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
    """A row for each point, without what has several values, and with the columns `more`."""
    rows = [asdict(replace(point, seeds=())) for point in points]
    return pd.DataFrame(rows).drop(columns="seeds").assign(**more)


def _apart(points: Sequence[Point]) -> list[float]:
    """How high each point's name stands: as high as its point, but on no other name."""
    line = 17 / _height(points) * (max(p.high for p in points) - min(p.low for p in points))
    near = 0.3 * (max(p.seconds for p in points) - min(p.seconds for p in points))
    names: list[float] = []
    for at, point in enumerate(points):  # downwards
        height = point.mean
        for other, taken in zip(points[:at], names, strict=True):
            if abs(other.seconds - point.seconds) <= near:
                height = min(height, taken - line)
        names.append(height)
    return names


def _level(setting: Comparison, measure: Measure, axis: str) -> list[alt.Chart]:
    """A dashed line where the untrained encoder stands."""
    baseline = next(filter(None, map(setting.baseline, setting.arms)), None)
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
    """Both charts of an overview are as high as one of them needs."""
    return max(210, 28 * len(rows))


def _colour() -> alt.Color:
    scale = alt.Scale(domain=["method", "reference"], range=[BLUE, GREY])
    return alt.Color("kind:N", scale=scale, legend=None)


def finish(layers: Sequence[alt.Chart], height: int) -> dict[str, Any]:
    """As wide as its place on the page, and as quiet as the page."""
    axis = {"domainColor": GREY, "tickColor": GREY, "gridColor": GREY, "gridOpacity": 0.2}
    axis |= {"titleFontWeight": "normal", "titleFontSize": 12, "labelFontSize": 12}
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    chart = alt.LayerChart(
        layer=list(layers), width="container", height=height, autosize=fit, background="transparent"
    )
    finished = chart.configure(font=FONT, aria=False, axis=axis, text={"fontSize": 12})
    spec: dict[str, Any] = finished.configure_view(stroke=None).to_dict(validate=False)
    return spec
