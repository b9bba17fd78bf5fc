"""The charts of a study's claims: every seed's difference, the interval, and the margin."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from unlabel.analysis.judged_claim import HOLDS, NO_DIFFERENCE, OPEN, JudgedClaim
from unlabel.analysis.judgement import Judgement
from unlabel.analysis.metric import Measure, capital
from unlabel.report import chart
from unlabel.report.chart import BLUE, GREY, Chart
from unlabel.units import number

COLOURS = {"holds": "#2a9461", "fails": "#c9473a", "none": BLUE, "open": GREY}
LINE = 36  # the height of a claim


def kind(word: str) -> str:
    """The kind of a claim's word, also its CSS class; "fails" for all that say it is wrong."""
    return {HOLDS: "holds", NO_DIFFERENCE: "none", OPEN: "open"}.get(word, "fails")


def build(judgement: Judgement) -> list[Chart]:
    """A chart for all claims in points, and one for the claims of each other metric."""
    groups: dict[str, list[tuple[int, JudgedClaim]]] = {}
    for at, each in enumerate(judgement.claims, 1):
        groups.setdefault(_heading(judgement.measure(each.claim)), []).append((at, each))
    return [
        _chart(heading, judgement.measure(claims[0][1].claim), claims)
        for heading, claims in groups.items()
    ]


def _heading(measure: Measure) -> str:
    return "difference in points" if measure.share else f"difference in {measure.heading}"


def _chart(heading: str, measure: Measure, claims: Sequence[tuple[int, JudgedClaim]]) -> Chart:
    datasets = {each.dataset for _, each in claims}
    rows = [_row(at, each, measure, len(datasets) > 1) for at, each in claims]
    seeds = [
        {"claim": row["claim"], "kind": row["kind"], "seed": seed, "value": measure.scaled(value)}
        for row, (_, each) in zip(rows, claims, strict=True)
        for seed, value in each.differences.items()
    ]
    order = [row["claim"] for row in rows]
    y = alt.Y("claim:N", sort=order, title=None).axis(labelLimit=190, ticks=False, domain=False)
    x = alt.X("low:Q", title=heading, scale=alt.Scale(nice=False, padding=12)).axis(tickCount=6)
    colours = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    colour = alt.Color("kind:N", scale=colours, legend=None)
    data = pd.DataFrame(rows)
    base = alt.Chart(data).encode(y=y)
    bands = alt.Chart(data[data["inner"].notna()]).encode(y=y)
    layers = [
        alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY).encode(x="zero:Q"),
        alt.Chart(pd.DataFrame(seeds))
        .mark_point(filled=True, size=26, opacity=0.6, yOffset=-9)  # above the interval
        .encode(x="value:Q", y=y, color=colour, tooltip=["seed", "value"]),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q", color=colour),
        base.mark_tick(thickness=2, size=14, color=GREY).encode(x="bound:Q"),
        base.mark_point(filled=True, shape="diamond", size=110, opacity=1).encode(
            x="mean:Q", color=colour, tooltip=["claim", "shown", "word"]
        ),
    ]
    if len(bands.data):  # Vega warns about a layer without marks
        band = bands.mark_bar(color=GREY, opacity=0.18, size=LINE - 8)
        layers.insert(0, band.encode(x="inner:Q", x2="outer:Q"))
    words = "; ".join(f"{row['claim']}: {row['shown']}, {row['word']}" for row in rows)
    height = LINE * len(rows) + 8
    return Chart(capital(heading), f"{heading} by claim: {words}", chart.finish(layers, height))


def _row(at: int, judged: JudgedClaim, measure: Measure, several: bool) -> dict[str, Any]:
    """A claim in the displayed unit. The band is where no difference is seen, or the same."""
    effect, claim = judged.effect, judged.claim
    band = claim.bound if claim.kind == "same" else judged.margin
    ends = {"mean": effect.mean, "low": effect.low, "high": effect.high}
    ends |= {"inner": -band, "outer": band} if band else {}
    ends |= {"bound": claim.bound} if claim.kind == "higher" else {}
    places = 1 if measure.share else None
    low, high = (number(measure.scaled(each), places) for each in (effect.low, effect.high))
    where = f" ({judged.dataset})" if several else ""
    return {
        "claim": f"{at} {claim.says}{where}",
        "word": judged.word,
        "kind": kind(judged.word),
        "shown": f"{measure.write(effect.mean)} ({low} to {high})",
        **dict.fromkeys(("inner", "outer", "bound")),
        **{name: measure.scaled(value) for name, value in ends.items()},
    }
