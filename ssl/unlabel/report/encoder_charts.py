"""What an encoder has learned, looked at: a map, neighbours, confusions and similarities."""

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
from unlabel.features.parquet import ALL, Features, Split
from unlabel.nn.nearest import nearest
from unlabel.probe.invariance import similarities
from unlabel.probe.knn import vote
from unlabel.report import chart, sections
from unlabel.report.chart import BLUE, GREY, Chart
from unlabel.report.sections import Picture

MAPPED, ASKED, JUDGED = 600, 10, 2000  # test images of the map, the neighbours and the confusions
NEIGHBOURS, K, TEMPERATURE = 8, 20, 0.07
BINS = 60


@dataclass(frozen=True)
class Neighbour:
    """A picture of a training image, and whether it is of the class that was asked for."""

    picture: Picture
    same: bool


@dataclass(frozen=True)
class Confusion:
    """Shares of each class's images (row) that are taken for each class (column)."""

    classes: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    images: int


@dataclass(frozen=True)
class Portrait:
    """What one encoder, of one run, makes of a dataset."""

    seed: int
    map: Chart
    neighbours: tuple[tuple[Picture, tuple[Neighbour, ...]], ...]
    confusion: Confusion | None  # of a dataset with labels
    similarities: tuple[Chart, ...]
    invariance: Chart | None


def portrait(setting: Comparison, arm: Arm, prepared: Path) -> Portrait:
    """Of an arm's first run. Raises `UserError` for files that are missing or damaged."""
    result = arm.results[0]
    found = parquet.read(result.folder / "features.parquet", result.folder / "views.parquet")
    folder = prepared / setting.dataset
    train, test = (images.read(folder / f"{split}.arrow")[0] for split in ("train", "test"))
    alike = [_similarities("after training" if arm.trained else "untrained", *_views(found))]
    untrained = setting.baseline(arm)
    if untrained is not None:
        folder = untrained.results[0].folder
        before = parquet.read(folder / "features.parquet", folder / "views.parquet")
        alike.append(_similarities("untrained", *_views(before)))
    return Portrait(
        result.seed,
        _map(found),
        _neighbours(found, train, test),
        _confusion(found) if found.labelled else None,
        tuple(alike),
        _invariance(setting, arm),
    )


def _views(found: Features) -> tuple[Tensor, Tensor]:
    return found.views[ALL].h, found.views[ALL].h_


def _map(found: Features) -> Chart:
    """Test images in two dimensions, neighbours near each other (t-SNE, arXiv:1411.1738)."""
    from sklearn.manifold import TSNE

    part = found.test.take(slice(MAPPED))
    h = F.normalize(part.h, dim=1).numpy()
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
        f"{len(h)} test images placed by their features, coloured by class; each class's name "
        "stands in its middle"
    )
    return Chart("A map of its features", words, chart.finish(layers, 420))


def _neighbours(
    found: Features, train: Images, test: Images
) -> tuple[tuple[Picture, tuple[Neighbour, ...]], ...]:
    """For some test images, one of each class, the training images with the nearest features."""
    asked = _one_of_each(found.test)
    bank = F.normalize(found.train.h, dim=1)
    _, rows = nearest(F.normalize(found.test.h[asked], dim=1), bank, min(NEIGHBOURS, len(bank)))
    train_row, test_row = (_rows(each.id) for each in (train, test))

    def draw(part: Split, at: int, split: Images, row: Mapping[int, int]) -> tuple[Picture, int]:
        label = int(part.label[at])
        name = found.classes[label] if label != UNLABELLED else "no label"
        place = row[int(part.id[at])]
        image = split.take(slice(place, place + 1)).pixels[0].float() / 255
        return sections.picture(name, png(image)), label

    shown = []
    for at, near in zip(asked, rows.tolist(), strict=True):
        query, label = draw(found.test, at, test, test_row)
        answers = [draw(found.train, each, train, train_row) for each in near]
        shown.append((query, tuple(Neighbour(each, y == label) for each, y in answers)))
    return tuple(shown)


def _one_of_each(part: Split) -> list[int]:
    """The first image of each class in turn; without labels, the first images."""
    label = part.label.numpy()
    kinds = [k for k in dict.fromkeys(label.tolist()) if k != UNLABELLED]
    first = [int(np.flatnonzero(label == kind)[0]) for kind in sorted(kinds)]
    rest = [at for at in range(len(label)) if at not in set(first)]
    return (first + rest[: max(0, ASKED - len(first))])[:ASKED]


def _rows(ids: Tensor) -> dict[int, int]:
    return {id: row for row, id in enumerate(ids.tolist())}


def _confusion(found: Features) -> Confusion:
    """Of a vote of the nearest training images, as the probe kNN takes it."""
    bank, asked = found.train.labelled(), found.test.labelled().take(slice(JUDGED))
    votes = vote(bank.h, bank.label, asked.h, K, TEMPERATURE)
    count = len(found.classes)
    table = torch.bincount(asked.label * count + votes, minlength=count**2).view(count, count)
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    rows = tuple(tuple(round(share, 4) for share in row) for row in shares.tolist())
    return Confusion(found.classes, rows, len(asked.id))


def _similarities(when: str, h: Tensor, h_: Tensor) -> Chart:
    """How alike two views of one image are, and two views of two images.

    Cosines after the mean feature is taken away, which all images share; without that an untrained
    encoder finds any two images alike.
    """
    similarity = similarities(h, h_)
    positive = similarity.diagonal()
    negative = similarity[~torch.eye(len(h), dtype=torch.bool)]
    rows = []
    for kind, values in (("one image", positive), ("two images", negative)):
        count = torch.histc(values, BINS, -1, 1)
        for at, share in enumerate((count / count.sum()).tolist()):
            place = -1 + (2 * at + 1) / BINS
            rows.append({"similarity": round(place, 3), "share": round(100 * share, 3), "of": kind})
    scale = alt.Scale(domain=["one image", "two images"], range=[BLUE, GREY])
    legend = alt.Legend(orient="top", title=None, symbolOpacity=1)
    area = alt.Chart(pd.DataFrame(rows)).mark_area(interpolate="step", opacity=0.5, line=True)
    layers = [
        area.encode(
            x=alt.X("similarity:Q", title="cosine of two views' features"),
            y=alt.Y("share:Q", title="pairs (%)", stack=None).axis(tickCount=4),
            color=alt.Color("of:N", scale=scale, legend=legend),
        )
    ]
    means = float(positive.mean()), float(negative.mean())
    words = (
        f"{when}: two views of one image have a mean cosine of {means[0]:.2f}, "
        f"two views of two images {means[1]:.2f}"
    )
    return Chart(f"Positives and negatives, {when}", words, chart.finish(layers, 180))


def _invariance(setting: Comparison, arm: Arm) -> Chart | None:
    """How alike an image and its transformed self are; None where no probe has measured that."""
    untrained = setting.baseline(arm)
    named = [name for name in arm.metrics if name.startswith("similarity_")]
    names = [name for name in named if not name.endswith("_z")]  # of the encoder's own output
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
    x = alt.X("low:Q", title="cosine of an image and itself transformed").axis(tickCount=5)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=y, color=alt.Color("of:N", scale=scale, legend=legend)
    )
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(x="mean:Q"),
    ]
    words = "; ".join(f"{row['transform']}, {row['of']}: {row['mean']:.2f}" for row in rows)
    height = max(120, 30 * len(order))
    return Chart("Invariance to each transform", words, chart.finish(layers, height))


def _by_mean(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    means = {row["transform"]: row["mean"] for row in rows if row["of"] == "trained"}
    return sorted(means, key=lambda name: -means[name])
