"""The benchmark page, made from the record that `make bench` writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from unlabel.report import chart, html
from unlabel.report.chart import BLUE, GREY, Chart
from unlabel.units import DASH, duration, number


@dataclass(frozen=True)
class Line:
    """One row of a benchmark's table, as text."""

    case: str
    against: str
    ours: str
    theirs: str
    unit: str
    ratio: str
    target: str
    kind: str  # "holds" if the target is met, "fails" if not, "" without a target


@dataclass(frozen=True)
class Benchmark:
    """One benchmark's section of the page."""

    name: str
    title: str
    chart: Chart
    lines: tuple[Line, ...]
    facts: tuple[tuple[str, str], ...]


def render(record: Mapping[str, Any]) -> str:
    """The page as HTML."""
    benchmarks = [_benchmark(name, each) for name, each in sorted(record.items())]
    goals = [line.kind for each in benchmarks for line in each.lines if line.kind]
    summary = f"{goals.count('holds')} of {len(goals)} targets are met."
    return html.render("bench.html", benchmarks=benchmarks, summary=summary)


def _benchmark(name: str, record: Mapping[str, Any]) -> Benchmark:
    made, rows = record["made"], record["rows"]
    facts = [
        ("Device", made["device"]),
        ("Software", f"torch {made['torch']}, Python {made['python']}"),
        ("Commit", made["commit"]),
        ("Duration", duration(record["seconds"])),
    ]
    lines = tuple(map(_line, rows))
    known = tuple((term, text) for term, text in facts if text)
    return Benchmark(name, record["title"], _chart(record["title"], rows), lines, known)


def _line(row: Mapping[str, Any]) -> Line:
    target = row["target"]
    kind = "" if target is None else "holds" if row["ratio"] >= target else "fails"
    return Line(
        row["case"],
        row["against"],
        number(row["ours"]),
        number(row["theirs"]),
        row["unit"],
        number(row["ratio"]),
        DASH if target is None else number(target),
        kind,
    )


def _chart(title: str, rows: Sequence[Mapping[str, Any]]) -> Chart:
    """The ratio of each comparison, with its target."""
    named = [{**row, "name": f"{row['case']} · {row['against']}"} for row in rows]
    order = [row["name"] for row in named]
    lines = "split(datum.label, ' · ')"
    axis = alt.Axis(ticks=False, domain=False, labelLimit=420, labelOffset=-6, labelExpr=lines)
    y = alt.Y("name:N", sort=order, title=None, axis=axis)
    scale = alt.Scale(type="log", nice=False, padding=12)
    x = alt.X("ratio:Q", title="ratio", scale=scale).axis(tickCount=6, format="~g")
    data = pd.DataFrame(named)
    level = alt.Chart(pd.DataFrame({"ratio": [1]})).mark_rule(strokeDash=[4, 3], color=GREY)
    point = alt.Chart(data).mark_point(filled=True, size=90, opacity=1, color=BLUE)
    layers = [
        level.encode(x=x),
        point.encode(x=x, y=y, tooltip=["case", "against", "ours", "theirs", "unit", "ratio"]),
    ]
    goals = data[data["target"].notna()]
    if len(goals):
        tick = alt.Chart(goals).mark_tick(thickness=2, size=16, color=GREY)
        layers.append(tick.encode(x="target:Q", y=y))
    words = "; ".join(f"{row['name']}: {number(row['ratio'])}" for row in named)
    finished = chart.finish(layers, max(120, 34 * len(order)))
    return Chart(
        "Ratio (above 1: ours is better; tick: target)",
        f"{title}: {words}",
        finished,
    )
