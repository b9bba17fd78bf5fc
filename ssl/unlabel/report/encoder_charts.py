"""Charts of what an encoder learned: feature map, neighbours, confusion, similarities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.analysis.arms import Arm, Comparison
from unlabel.data import images
from unlabel.data.images import UNLABELLED, Images
from unlabel.data.png import png
from unlabel.features import parquet
from unlabel.features.split import ALL, Features, Split, Views
from unlabel.nn.nearest import most_similar, units, vote
from unlabel.probe.invariance import similarities
from unlabel.report import chart, sections
from unlabel.report.chart import BLUE, GREY, Chart
from unlabel.report.sections import Picture

MAPPED, QUERIES, CLASSIFIED = 600, 10, 2000  # test images: map, neighbours, confusion matrix
NEIGHBOURS, K, TEMPERATURE = 8, 20, 0.07
FEWEST, SPREAD = 4, 1e-6  # images of a map, and the range of their unit features
BINS = 60


@dataclass(frozen=True)
class Neighbour:
    """A training image, and whether its class is the query's."""

    picture: Picture
    same: bool


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix: the share of each class (row) predicted as each class (column)."""

    classes: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    images: int


@dataclass(frozen=True)
class EncoderCharts:
    """The charts of one run's encoder on one dataset."""

    seed: int
    map: Chart | None  # None if the features do not vary
    neighbours: tuple[tuple[Picture, tuple[Neighbour, ...]], ...]
    confusion: Confusion | None  # None if the dataset has no labels
    similarities: tuple[Chart, ...]
    invariance: Chart | None


def build(comparison: Comparison, arm: Arm, prepared: Path) -> EncoderCharts:
    """The charts of an arm's first run. Raises `UserError` for a missing or damaged file."""
    result = arm.results[0]
    found = parquet.read(result.folder / "features.parquet", result.folder / "views.parquet")
    folder = prepared / comparison.dataset
    (train, data), (test, _) = (
        images.read(folder / f"{split}.arrow") for split in ("train", "test")
    )
    shown = data.preprocessing.get("shown")
    alike = [_similarities("after training" if arm.trained else "untrained", *_views(found.views))]
    untrained = comparison.baseline(arm)
    if untrained is not None:
        folder = untrained.results[0].folder
        before = parquet.read_views(folder / "views.parquet")
        alike.append(_similarities("untrained", *_views(before)))
    return EncoderCharts(
        result.seed,
        _map(found),
        _neighbours(found, train, test, shown),
        _confusion(found) if found.labelled else None,
        tuple(alike),
        _invariance(comparison, arm),
    )


def _views(found: Mapping[str, Views]) -> tuple[Tensor, Tensor]:
    return found[ALL].h, found[ALL].h_


def _map(found: Features) -> Chart | None:
    """Test features in two dimensions, by t-SNE (van der Maaten and Hinton 2008).

    None for fewer than four images, and for features that are all the same or not finite: on those
    scikit-learn's t-SNE crashes.
    """
    from sklearn.manifold import TSNE

    part = found.test.take(slice(MAPPED))
    h = F.normalize(part.h, dim=1).numpy()
    if len(h) < FEWEST or not np.isfinite(h).all() or np.ptp(h, axis=0).max() < SPREAD:
        return None
    perplexity = min(30, max(2, len(h) // 8))
    tsne = TSNE(perplexity=perplexity, init="pca", max_iter=300, random_state=0)
    places = tsne.fit_transform(h)
    names = [found.classes[y] if y != UNLABELLED else "no label" for y in part.label.tolist()]
    data = pd.DataFrame(np.round(places, 2), columns=["x", "y"]).assign(label=names)
    hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    x, y = (alt.X("x:Q", title=None, axis=hidden), alt.Y("y:Q", title=None, axis=hidden))
    colour = alt.Color("label:N", legend=None, scale=alt.Scale(scheme="tableau10"))
    middle = data.groupby("label", as_index=False).median(numeric_only=True)
    points = alt.Chart(data).mark_circle(size=18, opacity=0.75)
    names_ = alt.Chart(middle).mark_text(fontWeight="bold", fontSize=12)
    layers = [
        points.encode(x=x, y=y, color=colour, tooltip=["label"]),
        names_.encode(x="x:Q", y="y:Q", text="label:N"),
    ]
    words = (
        f"t-SNE of the features of {len(h)} test images, coloured by class; each class's name "
        "is at its centre"
    )
    return Chart("Feature map (t-SNE)", words, chart.finish(layers, 420))


def _neighbours(
    found: Features, train: Images, test: Images, shown: Sequence[int] | None
) -> tuple[tuple[Picture, tuple[Neighbour, ...]], ...]:
    """Test images, one of each class, each with the training images nearest in feature space."""
    queries = _one_of_each(found.test)
    _, rows = most_similar(found.test.h[queries], units(found.train.h), NEIGHBOURS, QUERIES)
    train_row, test_row = (_rows(each.id) for each in (train, test))

    def draw(part: Split, at: int, split: Images, row: Mapping[int, int]) -> tuple[Picture, int]:
        label = int(part.label[at])
        name = found.classes[label] if label != UNLABELLED else "no label"
        place = row[int(part.id[at])]
        image = split.take(slice(place, place + 1)).pixels[0].float() / 255
        return sections.picture(name, png(image, shown)), label

    pictures = []
    for at, near in zip(queries, rows.tolist(), strict=True):
        query, label = draw(found.test, at, test, test_row)
        answers = [draw(found.train, each, train, train_row) for each in near]
        pictures.append((query, tuple(Neighbour(each, y == label) for each, y in answers)))
    return tuple(pictures)


def _one_of_each(part: Split) -> list[int]:
    """The first image of each class in turn; without labels, the first images."""
    label = part.label.numpy()
    kinds = [k for k in dict.fromkeys(label.tolist()) if k != UNLABELLED]
    first = [int(np.flatnonzero(label == kind)[0]) for kind in sorted(kinds)]
    rest = [at for at in range(len(label)) if at not in set(first)]
    return (first + rest[: max(0, QUERIES - len(first))])[:QUERIES]


def _rows(ids: Tensor) -> dict[int, int]:
    return {id: row for row, id in enumerate(ids.tolist())}


def _confusion(found: Features) -> Confusion:
    """The confusion matrix of a kNN classifier, with the vote of the kNN probe."""
    bank, test = found.train, found.test.labelled().take(slice(CLASSIFIED))
    votes = vote(bank.h, bank.label, test.h, K, TEMPERATURE)
    count = len(found.classes)
    table = torch.bincount(test.label * count + votes, minlength=count**2).view(count, count)
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    rows = tuple(tuple(round(share, 4) for share in row) for row in shares.tolist())
    return Confusion(found.classes, rows, len(test.id))


def _similarities(when: str, h: Tensor, h_: Tensor) -> Chart:
    """Histograms of the cosine similarity of positive and of negative pairs.

    The mean feature, which all images share, is subtracted first. Without that, an untrained
    encoder's features are similar for any two images.
    """
    similarity = similarities(h, h_)
    positive = similarity.diagonal()
    negative = similarity[~torch.eye(len(h), dtype=torch.bool)]
    rows = []
    for kind, values in (("positive pairs", positive), ("negative pairs", negative)):
        count = torch.histc(values, BINS, -1, 1)
        for at, share in enumerate((count / count.sum()).tolist()):
            place = -1 + (2 * at + 1) / BINS
            rows.append({"similarity": round(place, 3), "share": round(100 * share, 3), "of": kind})
    scale = alt.Scale(domain=["positive pairs", "negative pairs"], range=[BLUE, GREY])
    legend = alt.Legend(orient="top", title=None, symbolOpacity=1)
    area = alt.Chart(pd.DataFrame(rows)).mark_area(interpolate="step", opacity=0.5, line=True)
    layers = [
        area.encode(
            x=alt.X("similarity:Q", title="cosine similarity of two views"),
            y=alt.Y("share:Q", title="share of pairs (%)", stack=None).axis(tickCount=4),
            color=alt.Color("of:N", scale=scale, legend=legend),
        )
    ]
    means = float(positive.mean()), float(negative.mean())
    words = (
        f"{when}: the mean cosine similarity is {means[0]:.2f} for two views of one image and "
        f"{means[1]:.2f} for views of two images"
    )
    return Chart(f"Positive and negative pairs, {when}", words, chart.finish(layers, 180))


def _invariance(comparison: Comparison, arm: Arm) -> Chart | None:
    """The similarity of an image to its transformed self; None if no probe measured it."""
    untrained = comparison.baseline(arm)
    named = [name for name in arm.metrics if name.startswith("similarity_")]
    names = [name for name in named if not name.endswith("_z")]  # on h, not z
    rows: list[dict[str, Any]] = []
    for name in names:
        for kind, each in (("trained", arm), ("untrained", untrained)):
            if each is not None and (found := each.estimate(name)):
                change = name.removeprefix("similarity_").replace("_", " ")
                ends = {"mean": found.mean, "low": found.low, "high": found.high}
                rows.append({"transform": change, "of": kind} | ends)
    if not rows:
        return None
    order = _by_mean(rows)
    scale = alt.Scale(domain=["trained", "untrained"], range=[BLUE, GREY])
    legend = alt.Legend(orient="top", title=None, symbolOpacity=1)
    y = alt.Y("transform:N", sort=order, title=None).axis(ticks=False, domain=False)
    x = alt.X("low:Q", title="cosine similarity to the untransformed image").axis(tickCount=5)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=y, color=alt.Color("of:N", scale=scale, legend=legend)
    )
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(x="mean:Q"),
    ]
    words = "; ".join(f"{row['transform']}, {row['of']}: {row['mean']:.2f}" for row in rows)
    height = max(120, 30 * len(order))
    return Chart("Invariance to each augmentation", words, chart.finish(layers, height))


def _by_mean(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    means = {row["transform"]: row["mean"] for row in rows if row["of"] == "trained"}
    return sorted(means, key=lambda name: -means[name])
